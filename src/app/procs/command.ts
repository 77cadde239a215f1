import { type Command, Option } from 'commander';
import { GROUPINGS } from '../../account/processes/groups.js';
import { parseNumber } from '../kit/arguments.js';
import { UsageError } from '../kit/failure.js';
import { addFromOption } from '../kit/from-argument.js';
import { addSourceOptions } from '../kit/kernel-source.js';
import { addGrowthOptions, asksGrowth } from './growth-options.js';
import { checkProcsSource, SORT_WORDS } from './options.js';
import { type GivenProcsOptions, parsePid, withMachinePid } from './pid.js';
import { addStacksOptions, answerStacks, checkStacksOptions } from './stacks.js';

const EXAMPLES = `
Examples:
  what each process of this machine really holds, and the same by Kubernetes pod
    kdump-mem procs --live
    kdump-mem procs --live --by pod
  who was swapped out
    kdump-mem procs --live --sort swap
  about how much the sockets of each pin
    kdump-mem procs --live --sockets
  of a host when its snapshot was taken; what grew between its two samples
    kdump-mem procs --from host.tar.gz
    kdump-mem procs --from host.tar.gz --watch
  of a machine that crashed, by its page tables
    kdump-mem procs --vmcore vmcore
  what a process maps, by file and kind; as its container numbers it; as the pid
  namespace of that inode number does
    kdump-mem procs --live --pid 4711
    kdump-mem procs --live --container 3f2a --pid 1
    kdump-mem procs --live --pid 4026532201:7
  which of them grow, how fast, and how sure that is
    kdump-mem procs --live --watch
  the same over hours: cron stores samples, then the file is asked
    kdump-mem procs --live --ndjson >> FILE
    kdump-mem procs --from-samples FILE
  who allocates in a process: perf records for 10 seconds
    kdump-mem procs --live --pid 4711 --stacks 10

GIVES BACK  what comes back at least if it is killed: USS, swap, page tables,
            and of a dump what its sockets alone hold
            of a group (--by): what killing all of it frees; AT MOST is the most
USS         pages that nobody else maps; a page of a file that it alone maps is
            among them, and stays in the page cache when it dies
PSS         each page divided among all who map it: PSS of all adds up
RSS         all pages that it maps; shared ones count again for each process
SOCKETS     memory of the network that its sockets pin: counted in a dump; live
            --sockets has an estimate (~), which GIVES BACK leaves out
≥, at least of some it may not be seen

--live reads /proc; without root PSS and USS of other users’ processes may not
be seen, and the answer says of how many. Docs: docs/procs.md.

Exit status: 0 answered, 2 wrong usage, 3 the dump or /proc could not be read
(of --stacks: perf), 4 what was asked for is not there, 5 (with --strict) the
answer is incomplete.`;

/** `kdump-mem procs`: what each process really holds. */
export function registerProcs(program: Command): void {
  const command = addSourceOptions(program.command('procs'))
    .usage('[options] [dump...]')
    .description('what each process really holds: PSS, USS, swap, page tables, sockets')
    .addOption(
      new Option('--pid <pid>', 'what this process maps; NS:PID as a pid namespace numbers it')
        .argParser(parsePid)
        .conflicts('sort'),
    )
    .option('--container <id>', 'only processes of this container; its id may be cut short')
    .addOption(
      new Option('--by <what>', 'add processes up by what they have in common').choices(GROUPINGS),
    )
    .addOption(
      new Option('--sort <column>', 'the largest first')
        .choices(Object.keys(SORT_WORDS))
        .default('freed'),
    )
    .option('--limit <n>', 'list so many at most (20; JSON: all)', parseNumber)
    .option('--sockets', 'with --live or --from: estimate by ss what the sockets of each pin')
    .option('-v, --verbose', 'show all columns; with --pid every mapping')
    .option('--json', 'print the answer as JSON')
    .option('--strict', 'exit with status 5 if anything could not be read')
    .addHelpText('after', EXAMPLES)
    .action(answerProcs);
  addFromOption(command, ['stacks', 'speedscope', 'fromSamples', 'interval', 'count']);
  addGrowthOptions(command);
  addStacksOptions(command);
}

async function answerProcs(given: GivenProcsOptions): Promise<void> {
  checkProcsSource(given);
  const options = await withMachinePid(given);
  checkStacksOptions(options);
  const growth = asksGrowth(options);
  if (options.stacks !== undefined) {
    const { onePid } = await import('./one-process.js');
    const { liveHost } = await import('../../host/live.js');
    return answerStacks(options, () => onePid(options, liveHost));
  }
  if (growth) {
    const { answerGrowth } = await import('./growth.js');
    return answerGrowth(options);
  }
  if (options.pid !== undefined) {
    if (options.by !== undefined)
      throw new UsageError('--by adds processes up, and --pid asks for one: give one of them');
    const { showMappings } = await import('./mappings.js');
    return showMappings(options);
  }
  const { listProcesses } = await import('./list.js');
  await listProcesses(options);
}
