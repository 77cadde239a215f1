import { type Command, InvalidArgumentError, Option } from 'commander';
import type { ProcsAnswer } from '../../account/processes/answer.js';
import type { ChosenProcs } from '../../account/processes/chosen.js';
import { GROUPINGS, type ProcessGrouping } from '../../account/processes/groups.js';
import type { ProcessFigures } from '../../account/processes/process.js';
import { formatJson } from '../../json.js';
import { WalkError } from '../../walk/error.js';
import { type AnswerOptions, answer } from '../answer.js';
import { EXIT, UsageError } from '../failure.js';
import { addSourceOptions, sourceWords } from '../kernel-source.js';
import { parseNumber } from '../number-argument.js';
import { printAnswer, printWarnings } from '../output.js';
import { Progress } from '../progress.js';
import { terminalWidth } from '../terminal-width.js';

interface ProcsOptions extends AnswerOptions {
  readonly sort: keyof typeof SORT_WORDS;
  readonly by?: ProcessGrouping;
  readonly pid?: number;
  readonly container?: string;
  readonly limit?: number;
  readonly verbose?: true;
}

/** What --sort calls columns. */
const SORT_WORDS = {
  freed: 'freed',
  uss: 'uss',
  pss: 'pss',
  rss: 'rss',
  anon: 'anonymous',
  file: 'file',
  shmem: 'shmem',
  swap: 'swap',
  hugetlb: 'hugetlb',
  'page-tables': 'pageTables',
  locked: 'locked',
  sockets: 'network',
  threads: 'threads',
  age: 'ageSeconds',
  oom: 'oomScore',
} as const;

const EXAMPLES = `
Examples:
  kdump-mem procs --live                     what each process of this machine really holds
  kdump-mem procs --live --by pod            the same by Kubernetes pod
  kdump-mem procs --live --sort swap         who was swapped out
  kdump-mem procs --live --container 3f2a --pid 1   a process as its container numbers it
  kdump-mem procs --vmcore vmcore            of a machine that crashed, by its page tables

GIVES BACK: what comes back at least if it is killed: USS, swap, page tables, and of a dump what its
sockets alone hold. USS: pages that nobody else maps. PSS: each page divided among all who map it, so
that PSS of all adds up. RSS: all pages that it maps; shared ones count again for each process.
≥, "at least": of some it may not be seen. SOCKETS: memory of the network that its sockets pin (dumps; of a running machine ask skcheck). A page
of a file that only one process maps is in its USS, and stays in the page cache when that dies.

--live reads /proc; without root PSS and USS of other users’ processes may not be seen, and the answer
says of how many. Docs: docs/procs.md.

Exit status: 0 answered, 2 wrong usage, 3 the dump or /proc could not be read, 4 what was asked for is
not there, 5 (with --strict) the answer is incomplete.`;

/** `kdump-mem procs`: what each process really holds. */
export function registerProcs(program: Command): void {
  addSourceOptions(program.command('procs'))
    .usage('[options] [dump...]')
    .description('what each process really holds: PSS, USS, swap, page tables, sockets')
    .addOption(
      new Option('--sort <column>', 'the largest first')
        .choices(Object.keys(SORT_WORDS))
        .default('freed'),
    )
    .addOption(
      new Option('--by <what>', 'add processes up by what they have in common').choices(GROUPINGS),
    )
    .option('--pid <pid>', 'only this process; with --container as that numbers it', parsePid)
    .option('--container <id>', 'only processes of this container; its id may be cut short')
    .option('--limit <n>', 'list so many at most (20; JSON: all)', parseNumber)
    .option('-v, --verbose', 'show all columns')
    .option('--json', 'print the answer as JSON')
    .option('--strict', 'exit with status 5 if anything could not be read')
    .addHelpText('after', EXAMPLES)
    .action(answerProcs);
}

async function answerProcs(options: ProcsOptions): Promise<void> {
  const [{ chosen }, { procsJson }, { procsText }] = await Promise.all([
    import('../../account/processes/chosen.js'),
    import('../../report/procs/json.js'),
    import('../../report/procs/text.js'),
  ]);
  const { sort, by, limit = 20, verbose } = options;
  const nameOf = options.live ? await userNames() : String;
  const choose = (found: ProcsAnswer): ChosenProcs => {
    const select = selection(options);
    const picked = chosen(found, { sort: SORT_WORDS[sort], by, select }, nameOf);
    const asked = options.pid !== undefined || options.container !== undefined;
    if (asked && picked.processes.length === 0)
      throw new WalkError('no-such-pid', 'no process is as --pid and --container say');
    return picked;
  };
  const toText = (found: ChosenProcs, width: number | null) =>
    procsText(found, { limit, verbose, width, source: sourceWords(options) });
  if (options.live) {
    if (options.engine !== 'auto') throw new UsageError('--live reads /proc: it has no --engine');
    const [{ liveHost }, { readProcesses }, { hostProcesses }] = await Promise.all([
      import('../../host/live.js'),
      import('../../host/proc/process-memory.js'),
      import('../../account/processes/host.js'),
    ]);
    const found = choose(hostProcesses(readProcesses(liveHost)));
    printAnswer(options.json ? formatJson(procsJson(found), 2) : toText(found, terminalWidth()));
    if (!options.json) printWarnings(found.warnings);
    if (options.strict && !found.complete) process.exitCode = EXIT.incomplete;
    return;
  }
  const { kernelProcesses } = await import('../../account/processes/kernel.js');
  const progress = new Progress();
  const show = (part: number) =>
    progress.show(`looking at processes … ${Math.round(part * 100)} %`);
  await answer(options, {
    ask: (kernel) => {
      try {
        return choose(kernelProcesses(kernel, show));
      } finally {
        progress.clear();
      }
    },
    toJson: procsJson,
    toText,
  });
}

function selection({ pid, container }: ProcsOptions): (process: ProcessFigures) => boolean {
  return (process) => {
    if (container !== undefined && !process.cgroup?.container?.startsWith(container)) return false;
    if (pid === undefined) return true;
    if (container === undefined) return process.pid === pid;
    return process.nsPids.at(-1) === pid;
  };
}

function parsePid(text: string): number {
  const pid = parseNumber(text);
  if (pid < 1) throw new InvalidArgumentError('It must be 1 or more.');
  return pid;
}

/** The names in /etc/passwd; a user who is in none has a number. */
async function userNames(): Promise<(uid: number) => string> {
  const { readFileSync } = await import('node:fs');
  const names = new Map<number, string>();
  try {
    for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
      const [name = '', , uid = ''] = line.split(':');
      if (/^\d{1,10}$/.test(uid) && !names.has(Number(uid))) names.set(Number(uid), name);
    }
  } catch {
    // Numbers do as well.
  }
  return (uid) => names.get(uid) ?? String(uid);
}
