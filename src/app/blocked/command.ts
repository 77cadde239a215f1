import { statSync } from 'node:fs';
import type { Command } from 'commander';
import type { BlockedAnswer } from '../../contracts/blocked.js';
import { present } from '../kit/answer.js';
import { parseNumber } from '../kit/arguments.js';
import { addFromOption, checkFrom, type FromOptions } from '../kit/from-argument.js';
import { addSourceOptions, aids, liveByDefault, sourceWords, withNativeSource } from '../kit/kernel-source.js';

const EXAMPLES = `
Examples:
  kdump-mem blocked --vmcore vmcore        print which tasks wait for which locks, and their owners
  kdump-mem blocked --live -v              the same for this machine, with stacks
  kdump-mem blocked --vmcore vmcore --all  also futexes, and tasks stopped by a tracer
  kdump-mem blocked --from host.tar.gz     file locks, and where tasks in state D wait, of a snapshot

It lists tasks in uninterruptible sleep (state D), all that wait for a mutex, rw_semaphore or
semaphore, and CPUs that spin for a spinlock. Each lock is below the lock that its owner waits for;
a cycle is a deadlock. Waits for files and disks name the device and its outstanding requests.
Times are seconds since a task last ran. --live without /proc/kcore and --from read /proc: it names file
locks with their owners, and the kernel functions in which tasks wait, but no owner of a lock of the
kernel. Docs: docs/blocked.md.

Exit status: 0 answered, 2 wrong usage, 3 the dump, snapshot or kernel could not be opened or read, 5
(with --strict) the answer is incomplete.`;

/** Registers `kdump-mem blocked`, which prints who waits for whom. */
export function registerBlocked(program: Command): void {
  const command = liveByDefault(addSourceOptions(program.command('blocked'), []))
    .usage('[options] [dump...]')
    .description('find which tasks wait for which locks, their owners, and deadlocks')
    .option('--all', 'include tasks in interruptible sleep that wait for futexes or tracers')
    .option('--limit <n>', 'maximum number of waiters named per lock (default 6; JSON: all)', parseNumber)
    .option('-v, --verbose', 'print stacks of owners and of the longest waiters')
    .option('--json', 'print the answer as JSON')
    .option('--strict', 'exit with status 5 if anything could not be read')
    .addHelpText('after', EXAMPLES);
  addFromOption(command, ['all']).action(async (options) => {
    const { all, limit = 6, verbose } = options;
    checkFrom(options);
    const [answer, { blockedBlocks }] = await Promise.all([
      blocked(options, all),
      import('../../answers/blocked/document.js'),
    ]);
    present(answer, options, {
      toBlocks: (result) => blockedBlocks(result, { limit, all, verbose, source: sourceWords(options) }),
    });
  });
}

async function blocked(options: FromOptions, all: true | undefined): Promise<BlockedAnswer> {
  const { from, live } = options;
  const needsKernel = all || Object.keys(aids(options)).length > 0;
  if (from !== undefined) return (await import('./host.js')).blockedIn(from);
  if (live && !needsKernel && !statSync('/proc/kcore', { throwIfNoEntry: false })?.isFile())
    return (await import('./host.js')).blockedHere();
  const { blockedTasks } = await import('../../account/blocked.js');
  return withNativeSource(options, (kernel) => blockedTasks(kernel, { all }));
}
