import { type Command, Option } from 'commander';
import { formatJson } from '../../base/json.js';
import { COMPRESSIONS, type Compression } from '../../extract/write/compress.js';
import { parseNumber } from '../kit/arguments.js';
import { takeDumpArguments } from '../kit/dump-arguments.js';
import { UsageError } from '../kit/failure.js';
import {
  addTypesOption,
  aids,
  collectFiles,
  openedAids,
  openSource,
} from '../kit/kernel-source.js';
import { printAnswer, printWarnings } from '../kit/output.js';
import { Progress } from '../kit/terminal.js';

interface ExtractOptions {
  readonly vmcore?: readonly string[];
  readonly output: string;
  readonly pid?: number;
  readonly fd?: number;
  readonly compress: Compression;
  readonly anonymize?: true;
  readonly map?: string;
  readonly json?: true;
  readonly withLog?: true;
  readonly withMemory?: true;
  readonly withProcesses?: true;
  readonly withStacks?: true;
  readonly withTriage?: true;
  readonly force?: true;
  readonly vmlinux?: string;
  readonly symbols?: string;
  readonly types?: string;
}

const EXAMPLES = `
Examples:
  kdump-mem extract --vmcore /var/crash/vmcore -o small.vmcore
      all that any question about sockets needs, in a few MB
  kdump-mem extract --vmcore /var/crash/vmcore -o one.vmcore --pid 4711 --fd 12 --anonymize
      one socket, with made-up names, addresses and paths
  kdump-mem extract --vmcore vmcore -o case.vmcore --with-triage
      all that triage, log, stacks and memory say of it, too
  kdump-mem extract --vmcore vmcore -o send.vmcore --anonymize --map mine.json
  kdump-mem sockets --vmcore send.vmcore --map mine.json
      one to hand on, and a map to keep: with it answers have the true names again

Kept: the kernel's tables, and of its tasks, files, sockets, queues and pages the bytes that an answer
reads. Left out: payload, user memory, file contents, environment, arguments, keys, stacks, the log.
crash and drgn open the result with the vmlinux that the dump needs; kdump-mem needs none. (On 7.2
crash 9.0.2 needs --no_modules, for the whole dump too.)

--anonymize replaces IP addresses (by others of their kind), paths of unix sockets and files, command
names of processes, names of cgroups and of network interfaces, and the host's. Loopback addresses, lo and
the names of kernel threads stay, and so do ports, pids, inode numbers, modules, the kernel's build
and the time. In the end it says how many of each there are.

Every answer of skb and sockets is the same, with --with-memory those of memory too, with --with-
processes those of procs and its --pid: 0.5 MB more for a machine of 512 MB with 34 processes, most of
it struct pages (1.6 % of the memory, before they are packed). --with-log and --with-stacks take 10 to 40 kB
each: a full log more. --with-triage is all three of log, memory and stacks, and all that triage reads. Of
stacks only addresses are kept that lead through them, and none of the registers of user space.

struct knows every type, and every symbol has its address. Whatever else is asked of the memory (read,
struct TYPE ADDR) is said to be left out. In crash, ps has no memory sizes, files no paths, and there are no
symbols of modules; bt has functions only --with-stacks. The tables of symbols and types are packed: only
kdump-mem finds them.

Exit status: 0 written, 2 wrong usage, 3 the dump could not be read or the file not written,
4 the pid or fd is not there.`;

/** `kdump-mem extract`: a dump cut down to what answers are made of. */
export function registerExtract(program: Command): void {
  addTypesOption(takeDumpArguments(program.command('extract')))
    .usage('[options] -o <file> <dump...>')
    .description('cut a dump down to what the questions need: small, and without anybody’s data')
    .option('--vmcore <file>', 'the dump to read; again for each part of a split one', collectFiles)
    .requiredOption('-o, --output <file>', 'the dump to write')
    .option('--pid <pid>', 'only what is needed to ask about this process', parseNumber)
    .option('--fd <fd>', 'only one socket of it (needs --pid)', parseNumber)
    .addOption(
      new Option('--compress <method>', 'how to store pages').choices(COMPRESSIONS).default('zlib'),
    )
    .option('--anonymize', 'replace addresses, paths of unix sockets and all names, consistently')
    .option('--map <file>', 'write what was replaced by what (mode 600; needs --anonymize)')
    .option('--with-log', 'keep the kernel’s log too (not with --anonymize)')
    .option('--with-memory', 'keep what `memory` reads too: every struct page (not with --pid)')
    .option(
      '--with-processes',
      'keep what `procs` and its --pid read too: every struct page, page tables (not with --pid)',
    )
    .option('--with-stacks', 'keep what `stacks` reads too (not with --pid)')
    .option(
      '--with-triage',
      'keep all that `triage` reads: the same as --with-log --with-memory --with-stacks',
    )
    .option('--force', 'replace files that exist')
    .option('--json', 'say what is inside as JSON')
    .option('--vmlinux <file>', 'symbols and types, where the dump lacks them')
    .option('--symbols <file>', 'System.map, instead of the dump’s own symbols')
    .addHelpText('after', EXAMPLES)
    .action(run);
}

/** What is of all the machine, and why. */
const WHOLE = [
  ['withMemory', '--with-memory', 'memory is the machine’s'],
  ['withProcesses', '--with-processes', 'shares are of all processes'],
  ['withStacks', '--with-stacks', 'stacks are those of all threads'],
  ['withTriage', '--with-triage', 'it looks at the whole machine'],
] as const;

/** @throws {UsageError} */
function refuseContradictions(options: ExtractOptions): void {
  const { pid, fd, anonymize, withLog, withTriage } = options;
  if (fd !== undefined && pid === undefined) throw new UsageError('--fd needs --pid');
  if (anonymize && withLog)
    throw new UsageError('the log can name anybody: --with-log and --anonymize exclude each other');
  if (anonymize && withTriage)
    throw new UsageError(
      'the log can name anybody: not --with-triage but --with-memory and --with-stacks go with --anonymize',
    );
  for (const [name, option, why] of WHOLE)
    if (options[name] && pid !== undefined)
      throw new UsageError(`${why}: ${option} and --pid exclude each other`);
}

async function run(options: ExtractOptions): Promise<void> {
  const { pid, fd, vmcore } = options;
  refuseContradictions(options);
  const { withTriage = false } = options;
  if (vmcore === undefined) throw new UsageError('say which dump to cut: --vmcore FILE');
  const { map, output } = options;
  if (map !== undefined && !options.anonymize)
    throw new UsageError('--map tells what --anonymize replaced: give both');
  const kernel = await openSource({ vmcore, engine: 'native', ...aids(options) });
  const progress = new Progress();
  try {
    const { NativeKernel } = await import('../../kernel/native/kernel.js');
    if (!(kernel instanceof NativeKernel)) throw new TypeError('only the native engine extracts');
    const { extract } = await import('../../extract/extract.js');
    const found = await extract(kernel, {
      files: await openedAids(options),
      output,
      ...(map === undefined ? {} : { map }),
      compression: options.compress,
      ...(pid === undefined ? {} : { pid }),
      ...(fd === undefined ? {} : { fd }),
      force: options.force ?? false,
      anonymize: options.anonymize ?? false,
      log: options.withLog ?? withTriage,
      memory: options.withMemory ?? withTriage,
      processes: options.withProcesses ?? false,
      stacks: options.withStacks ?? withTriage,
      onProgress: (words) => progress.show(words),
    });
    progress.clear();
    const [{ extractJson }, { extractText }] = await Promise.all([
      import('../../answers/extract/json.js'),
      import('../../answers/extract/text.js'),
    ]);
    const said = extractJson(found, {
      file: output,
      warnings: kernel.doubts ?? [],
      ...(map === undefined ? {} : { map }),
    });
    printAnswer(options.json ? formatJson(said, 2) : extractText(said));
    if (!options.json) printWarnings(kernel.doubts ?? []);
  } finally {
    progress.clear();
    kernel.close();
  }
}
