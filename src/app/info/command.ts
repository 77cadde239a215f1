import { type Command, Option } from 'commander';
import { KernelError } from '../../base/errors.js';
import { formatJson } from '../../base/util.js';
import type { InfoAnswer } from '../../contracts/info.js';
import type { ListName } from '../../contracts/lists.js';
import type { MemoryImage } from '../../kernel/native/image/image.js';
import type { NativeKernel } from '../../kernel/native/kernel.js';
import type { Files } from '../../kernel/native/open.js';

import { Unknowns } from '../../walk/warnings.js';
import { answer } from '../kit/answer.js';
import { type OptionsOf, parseNumber } from '../kit/arguments.js';
import { EXIT, UsageError } from '../kit/failure.js';
import { addSourceOptions, openedAids, openSourceImage, sourceWords } from '../kit/kernel-source.js';
import { printAnswer, printText } from '../kit/output.js';
import { terminalWidth } from '../kit/terminal.js';

/** Options of the lists that `info` prints instead of its facts, with the names of the lists. */
const LISTS = {
  modules: 'modules',
  mounts: 'mounts',
  swap: 'swap',
  sharedMemory: 'shared-memory',
  runQueues: 'run-queues',
} as const satisfies Record<string, ListName>;
const LIST_OPTIONS = Object.keys(LISTS) as (keyof typeof LISTS)[];

const EXAMPLES = `
Examples:
  kdump-mem info --vmcore /var/crash/202611200412/vmcore
      show one dump
  kdump-mem info --vmcore /var/crash/202611200412
      show the dump in a directory
  kdump-mem info --vmcore vmcore --modules
      list the loaded modules with sizes and users, as lsmod does
  kdump-mem info --vmcore vmcore --mounts --pid 4711
      list the mounts that a process sees
  kdump-mem info --vmcore vmcore --run-queues
      list the tasks that run and wait on each CPU

Lists compare counters with what they find, and are incomplete where both differ.
Docs: docs/info.md.

Exit status: 0 answered, 2 wrong usage, 3 the dump could not be opened, 4 no such pid, 5 (with
--strict) something is unknown, or a list is incomplete.`;

function declareInfo(program: Command) {
  return addSourceOptions(program.command('info'), [])
    .usage('[options] [dump...]')
    .description('show the format, kernel and crash of a dump, and what cannot be read from it')
    .addOption(list('--modules', 'loaded modules: sizes, users, taint (lsmod, crash mod)'))
    .addOption(list('--mounts', 'mounts of the init process, or of --pid (crash mount)'))
    .addOption(list('--swap', 'swap devices: size, use, priority (crash swap)'))
    .addOption(list('--shared-memory', 'System V shared memory segments (ipcs -m, crash ipcs)'))
    .addOption(list('--run-queues', 'tasks on the run queue of each CPU (crash runq)'))
    .option('--pid <pid>', 'namespace of this process, for --mounts and --shared-memory', parseNumber)
    .option('--json', 'print the answer as JSON')
    .option('--strict', 'exit with status 5 if anything is unknown');
}

type InfoOptions = OptionsOf<typeof declareInfo>;

/** Registers `kdump-mem info`, which describes a dump, its kernel and its crash. */
export function registerInfo(program: Command): void {
  declareInfo(program)
    .addHelpText('after', EXAMPLES)
    .action(async (options) => {
      const chosen = LIST_OPTIONS.find((name) => options[name]);
      if (options.pid !== undefined && chosen !== 'mounts' && chosen !== 'sharedMemory')
        throw new UsageError('--pid requires --mounts or --shared-memory');
      if (chosen) {
        const [{ readList }, { listText }] = await Promise.all([
          import('../../answers/info/lists/lists.js'),
          import('../../answers/info/lists/text.js'),
        ]);
        return answer(options, {
          ask: (kernel) => readList(LISTS[chosen], kernel, options.pid),
          toText: (result, width) => listText(LISTS[chosen], result, width),
        });
      }
      const image = await openSourceImage(options);
      try {
        await print(await ask(image, options), options);
      } finally {
        image.close();
      }
    });
}

function list<Flag extends string>(flag: Flag, words: string): Option<Flag> {
  const option = new Option(flag, words);
  return option.conflicts(LIST_OPTIONS.filter((name) => name !== option.attributeName()));
}

async function print(answer: InfoAnswer, options: InfoOptions): Promise<void> {
  const { json, strict } = options;
  if (json) printAnswer(formatJson(answer, 2));
  else printText((await import('../../answers/info/text.js')).infoText(answer, terminalWidth(), sourceWords(options)));
  if (strict && answer.missing.length > 0) process.exitCode = EXIT.incomplete;
}

async function ask(image: MemoryImage, options: InfoOptions): Promise<InfoAnswer> {
  const [{ describeDump }, { openNativeImage }, { notedIn }, { describeInfo }] = await Promise.all([
    import('../../kernel/native/image/open.js'),
    import('../../kernel/native/open.js'),
    import('../../kernel/native/vmcoreinfo.js'),
    import('../../answers/info/answer.js'),
  ]);
  const unknowns = new Unknowns();
  const open = (files: Files): NativeKernel | undefined =>
    unknowns.try('kernel, and every figure', () => openNativeImage(image, files));
  let native: NativeKernel | undefined;
  try {
    native = openNativeImage(image, await openedAids(options));
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    // If the dump alone fails as well, the dump is at fault; otherwise one of the given files is.
    if (open({})) throw error;
  }
  return describeInfo(describeDump(image), notedIn(image, native?.vmcoreinfo), unknowns, native);
}
