import type { Command } from 'commander';
import { present } from '../kit/answer.js';
import { parseNumber } from '../kit/arguments.js';
import { UsageError } from '../kit/failure.js';
import { addSourceOptions, openNativeSource, type SourceOptions } from '../kit/kernel-source.js';

interface BlockedOptions extends SourceOptions {
  readonly all?: true;
  readonly limit?: number;
  readonly verbose?: true;
  readonly json?: true;
  readonly strict?: true;
}

const EXAMPLES = `
Examples:
  kdump-mem blocked --vmcore vmcore        print which tasks wait for which locks, and their owners
  kdump-mem blocked --live -v              the same for this machine, with stacks
  kdump-mem blocked --vmcore vmcore --all  also futexes, and tasks stopped by a tracer

It lists tasks in uninterruptible sleep (state D), all that wait for a mutex, rw_semaphore or
semaphore, and CPUs that spin for a spinlock. Each lock is below the lock that its owner waits for;
a cycle is a deadlock. Waits for files and disks name the device and its outstanding requests.
Times are seconds since a task last ran. Docs: docs/blocked.md.

Exit status: 0 answered, 2 wrong usage, 3 the dump or kernel could not be opened or read, 5 (with
--strict) the answer is incomplete.`;

/** Registers `kdump-mem blocked`, which prints who waits for whom. */
export function registerBlocked(program: Command): void {
  addSourceOptions(program.command('blocked'))
    .usage('[options] [dump...]')
    .description('find which tasks wait for which locks, their owners, and deadlocks')
    .option('--all', 'include tasks in interruptible sleep that wait for futexes or tracers')
    .option(
      '--limit <n>',
      'maximum number of waiters named per lock (default 6; JSON: all)',
      parseNumber,
    )
    .option('-v, --verbose', 'print stacks of owners and of the longest waiters')
    .option('--json', 'print the answer as JSON')
    .option('--strict', 'exit with status 5 if anything could not be read')
    .addHelpText('after', EXAMPLES)
    .action(async (options: BlockedOptions) => {
      const { engine, all, limit = 6, verbose } = options;
      if (engine === 'crash' || engine === 'verify')
        throw new UsageError('blocked does not support --engine crash or verify');
      const kernel = await openNativeSource(options);
      try {
        const [{ blockedTasks }, { blockedJson, blockedText }] = await Promise.all([
          import('../../account/blocked.js'),
          import('../../answers/blocked/render.js'),
        ]);
        present(blockedTasks(kernel, { all }), options, {
          toJson: blockedJson,
          toText: (found, width) => blockedText(found, { limit, all, verbose, width }),
        });
      } finally {
        kernel.close();
      }
    });
}
