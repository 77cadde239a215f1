import { type Command, InvalidArgumentError } from 'commander';
import { TASK_STATES, type TaskState } from '../../records/waits.js';
import { answer } from '../kit/answer.js';
import { parseNumber } from '../kit/arguments.js';
import { addSourceOptions, sourceWords } from '../kit/kernel-source.js';

const EXAMPLES = `
Examples:
  kdump-mem stacks --vmcore vmcore               print all kernel stacks, identical ones once
  kdump-mem stacks --vmcore vmcore --state D     print tasks in uninterruptible sleep
  kdump-mem stacks --vmcore vmcore --cpu 1       print what CPU 1 was running
  kdump-mem stacks --vmcore vmcore --pid 4711    print a process with all its threads

The innermost function comes first. "?" marks a guess that no unwind table proves. Running tasks need
registers that the kernel saved when it crashed, or that QEMU saved. No debug information is needed.
Docs: docs/stacks.md.

Exit status: 0 answered, 2 wrong usage, 3 the dump or kernel could not be opened or read, 4 no such
pid or CPU, 5 (with --strict) the answer is incomplete.`;

/** Registers `kdump-mem stacks`, which prints the kernel stacks of tasks. */
export function registerStacks(program: Command): void {
  addSourceOptions(program.command('stacks'), [])
    .usage('[options] [dump...]')
    .description('print the kernel stacks of all threads, identical ones grouped')
    .option('--pid <pid>', 'only this process with all its threads, or this thread', parseNumber)
    .option('--cpu <cpu>', 'only tasks that this CPU was running', parseNumber)
    .option('--state <letters>', 'only threads in these states of ps, for example D or R,D', parseStates)
    .option('--limit <n>', 'maximum number of stacks (default 20; JSON: all)', parseNumber)
    .option('-v, --verbose', 'name every thread, and show addresses')
    .option('--json', 'print the answer as JSON')
    .option('--strict', 'exit with status 5 if anything could not be read')
    .addHelpText('after', EXAMPLES)
    .action(async (options) => {
      const { pid, cpu, state, limit = 20, verbose } = options;
      const source = sourceWords(options);
      const [{ groupedStacks }, { taskStacksBlocks }] = await Promise.all([
        import('../../account/task-stacks.js'),
        import('../../answers/task-stacks/document.js'),
      ]);
      await answer(options, {
        ask: (kernel) => groupedStacks(kernel, { pid, cpu, states: state }),
        toBlocks: (result) => taskStacksBlocks(result, { limit, verbose, isByState: state !== undefined, source }),
      });
    });
}

function parseStates(text: string): ReadonlySet<TaskState> {
  const chosen = text.split(',').map((letter) => TASK_STATES.find((state) => state === letter));
  const known = chosen.filter((state) => state !== undefined);
  if (known.length < chosen.length) throw new InvalidArgumentError(`Use states of ${TASK_STATES.join(', ')}.`);
  return new Set(known);
}
