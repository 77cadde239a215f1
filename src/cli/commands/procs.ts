import { type Command, Option } from 'commander';
import { GROUPINGS } from '../../account/processes/groups.js';
import { UsageError } from '../failure.js';
import { addSourceOptions } from '../kernel-source.js';
import { parseNumber } from '../number-argument.js';
import { addGrowthOptions, asksGrowth } from '../procs-growth-options.js';
import { SORT_WORDS } from '../procs-options.js';
import { type GivenProcsOptions, parsePid, withMachinePid } from '../procs-pid.js';
import { addStacksOptions, answerStacks, checkStacksOptions } from '../procs-stacks.js';

const EXAMPLES = `
Examples:
  kdump-mem procs --live                     what each process of this machine really holds
  kdump-mem procs --live --by pod            the same by Kubernetes pod
  kdump-mem procs --live --sort swap         who was swapped out
  kdump-mem procs --live --pid 4711          what it maps, by file and kind
  kdump-mem procs --live --container 3f2a --pid 1   the same, as its container numbers it
  kdump-mem procs --live --pid 4026532201:7  as the pid namespace of that inode number has it
  kdump-mem procs --live --pid 4711 --stacks 10   who allocates in it: perf records for 10 seconds
  kdump-mem procs --live --sockets           with about how much their sockets pin
  kdump-mem procs --vmcore vmcore            of a machine that crashed, by its page tables
  kdump-mem procs --live --watch             which of them grow, how fast, and how sure that is
  kdump-mem procs --live --ndjson >> FILE    a sample for cron; --from-samples FILE tells what grew

GIVES BACK: what comes back at least if it is killed: USS, swap, page tables, and of a dump what its
sockets alone hold. USS: pages that nobody else maps. PSS: each page divided among all who map it, so
that PSS of all adds up. RSS: all pages that it maps; shared ones count again for each process.
≥, "at least": of some it may not be seen. SOCKETS: memory of the network that its sockets pin: counted
in a dump; live --sockets has an estimate (~), which GIVES BACK leaves out. A page of a file that only
one process maps is in its USS, and stays in the page cache when that dies.

--live reads /proc; without root PSS and USS of other users’ processes may not be seen, and the answer
says of how many. Docs: docs/procs.md.

Exit status: 0 answered, 2 wrong usage, 3 the dump or /proc could not be read, 4 what was asked for is
not there, 5 (with --strict) the answer is incomplete.`;

/** `kdump-mem procs`: what each process really holds. */
export function registerProcs(program: Command): void {
  const command = addStacksOptions(addSourceOptions(program.command('procs')))
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
    .option('--pid <pid>', 'what this process maps; NS:PID as a pid namespace numbers it', parsePid)
    .option('--container <id>', 'only processes of this container; its id may be cut short')
    .option('--limit <n>', 'list so many at most (20; JSON: all)', parseNumber)
    .option('--sockets', 'with --live: estimate by ss what the sockets of each pin')
    .option('-v, --verbose', 'show all columns; with --pid every mapping')
    .option('--json', 'print the answer as JSON')
    .option('--strict', 'exit with status 5 if anything could not be read')
    .addHelpText('after', EXAMPLES)
    .action(answerProcs);
  addGrowthOptions(command);
}

async function answerProcs(given: GivenProcsOptions): Promise<void> {
  const options = await withMachinePid(given);
  checkStacksOptions(options);
  const growth = asksGrowth(options);
  if (options.stacks !== undefined) {
    const { onePid } = await import('../procs-one.js');
    return answerStacks(options, () => onePid(options));
  }
  if (growth) {
    const { answerGrowth } = await import('../procs-growth.js');
    return answerGrowth(options);
  }
  if (options.pid !== undefined) {
    if (options.by !== undefined)
      throw new UsageError('--by adds processes up, and --pid asks for one: give one of them');
    const { showMappings } = await import('../procs-mappings.js');
    return showMappings(options);
  }
  const { listProcesses } = await import('../procs-list.js');
  await listProcesses(options);
}
