import { describe, expect, test } from 'vitest';
import { taskStacksBlocks } from '../../../src/answers/task-stacks/document.js';
import { blockTexts } from '../../../src/answers/text/blocks.js';
import type { StackGroup, StacksAnswer } from '../../../src/contracts/task-stacks.js';

const ANSWER: StacksAnswer = {
  schema: 'kdump-mem.task-stacks/1',
  kernel: { release: '6.1', arch: 'x86_64', pageSize: 4096, source: 'vmcore', engine: 'native' },
  stacks: [],
  tasks: 0,
  complete: false,
  warnings: [],
};

const GROUP: StackGroup = {
  frames: [
    { address: 0x1010n, interrupted: true, guess: false, symbol: 'one', offset: 16, module: null },
    { address: 0x2020n, interrupted: false, guess: true, symbol: 'two', offset: 32, module: 'm\u001b[2J' },
    { address: 0x3030n, interrupted: true, guess: false, symbol: null, offset: null, module: null },
  ],
  end: 'stopped',
  why: 'no table has 0x3030',
  code: 'no-table',
  at: 0x3030n,
  tasks: [
    { pid: 7, process: 7, comm: 'a\nb', state: 'D', cpu: null, registers: null },
    { pid: 9, process: 7, comm: 'c', state: 'R', cpu: 1, registers: 'qemu' },
  ],
};

const textOf = (answer: StacksAnswer, limit: number) =>
  blockTexts(taskStacksBlocks(answer, { limit, source: '--vmcore dump' }), null).join('\n\n');

test('a stack shows its threads, guesses, interrupts and why it is incomplete', () => {
  const answer = { ...ANSWER, stacks: [GROUP], tasks: 2 };
  expect(textOf(answer, 20)).toBe(
    [
      'pid 7 (a\\x0ab): at least 2 threads, 1 distinct stack. 1 in uninterruptible sleep (D), 1 running or ready to run (R).',
      '',
      '2 threads: pid 7 (a\\x0ab) D, pid 9 of 7 (c) R on CPU 1',
      '    one+0x10',
      '  ? two+0x20 [m\\x1b[2J]',
      '    --- interrupted ---',
      '    0x3030',
      '    (incomplete: no table has 0x3030)',
      '',
      'Next: kdump-mem blocked --vmcore dump',
    ].join('\n'),
  );
  expect(textOf(answer, 0)).toContain(
    '1 more stack, of 2 threads: pid 7 (a\\x0ab) D, pid 9 of 7 (c) R on CPU 1: --limit 1 lists it.',
  );
});

test('threads without a frame are one entry, but with -v', () => {
  const lost = [1, 2].map((pid): StackGroup => {
    const [task] = GROUP.tasks;
    return { ...GROUP, frames: [], why: `${pid}\u001b is filtered`, tasks: [{ ...task!, pid, process: pid }] };
  });
  const answer = { ...ANSWER, stacks: [GROUP, ...lost], tasks: 4 };
  const text = textOf(answer, 20);
  expect(text).toContain('At least 4 threads, 1 distinct stack.');
  expect(text).toMatch(
    /\nNo stack could be read of 2 threads: pid 1 \(a\\x0ab\) D, pid 2 \(a\\x0ab\) D\n {4}\(the first: 1\\x1b is filtered; -v --limit 3 lists them\)\n\nNext: /,
  );
  expect(textOf({ ...answer, stacks: lost.slice(1) }, 20)).toContain('1 distinct stack.');
  const all = blockTexts(taskStacksBlocks(answer, { limit: 20, verbose: true, source: '--vmcore dump' }), null).join(
    '\n\n',
  );
  expect(all).toContain('At least 4 threads, 3 distinct stacks.');
  expect(all).not.toContain('No stack could be read');
});

test.each([
  [true, 'No thread matches.'],
  [false, 'No matching thread was found, but some threads could not be read.'],
])('without threads, complete is %s', (complete, words) => {
  expect(textOf({ ...ANSWER, complete }, 20)).toBe(words);
});

describe('kernel threads that wait for work', () => {
  const stackOf = (
    symbols: string,
    state: 'I' | 'S' | 'R',
    pids: readonly number[],
    cpu: number | null = null,
  ): StackGroup => ({
    frames: symbols
      .split(' ')
      .map((symbol) => ({ address: 1n, interrupted: false, guess: false, symbol, offset: 1, module: null })),
    end: 'first',
    why: null,
    code: null,
    at: null,
    tasks: pids.map((pid) => ({ pid, process: pid, comm: 'k', state, cpu, registers: null })),
  });
  const WORKER = '__schedule schedule worker_thread kthread';
  const headings = (...stacks: StackGroup[]) => {
    const tasks = stacks.reduce((sum, each) => sum + each.tasks.length, 0);
    return textOf({ ...ANSWER, complete: true, stacks, tasks }, 20)
      .split('\n')
      .filter((line) => /^\S/.test(line));
  };

  test('that none is blocked is said of a complete answer', () => {
    const idle = [stackOf(WORKER, 'I', [4]), stackOf('schedule', 'S', [5])];
    expect(headings(...idle)[0]).toMatch(/ None is in uninterruptible sleep \(D\)\.$/);
    const listed = { ...ANSWER, complete: true, stacks: idle, tasks: 2 };
    expect(textOf({ ...listed, complete: false }, 20)).not.toContain('None is');
    expect(taskStacksBlocks(listed, { limit: 20, isByState: true, source: '' })[0]).not.toContain('None is');
    expect(textOf(listed, 20)).not.toContain('Next:');
    expect(textOf({ ...listed, stacks: [...idle, GROUP], tasks: 4 }, 20)).toMatch(
      /\n\nNext: kdump-mem blocked --vmcore dump$/,
    );
  });

  test('tasks of idle CPUs are not counted as running', () => {
    const idle = [stackOf('default_idle do_idle', 'R', [0], 0), stackOf('default_idle cpuidle_idle_call', 'R', [0], 1)];
    expect(headings(...idle, stackOf('schedule', 'S', [5]))[0]).toBe(
      '3 threads, 3 distinct stacks. 1 waiting for an event (S), 2 idle CPUs.',
    );
  });

  test('are one entry behind the others', () => {
    const percpu = stackOf('__schedule schedule smpboot_thread_fn kthread', 'S', [20, 30]);
    expect(headings(stackOf(WORKER, 'I', [4, 5, 6]), percpu, GROUP)).toEqual([
      '7 threads, 3 distinct stacks. 1 in uninterruptible sleep (D), 3 idle (I), 2 waiting for an event (S), 1 running or ready to run (R).',
      '2 threads: pid 7 (a\\x0ab) D, pid 9 of 7 (c) R on CPU 1',
      'Kernel threads that wait for work: 5 threads: pid 4 (k) I, pid 5 (k) I, pid 6 (k) I, pid 20 (k) S, pid 30 (k) S',
      'Next: kdump-mem blocked --vmcore dump',
    ]);
  });

  test.each([
    ['in a work item', stackOf('schedule msleep do_work process_one_work worker_thread', 'I', [4])],
    ['in another state', stackOf(WORKER, 'S', [4])],
    ['on a CPU', stackOf(WORKER, 'I', [4], 0)],
    ['in a callback of a CPU', stackOf('schedule do_callback smpboot_thread_fn', 'S', [4])],
    ['of a process', { ...stackOf(WORKER, 'I', [4]), end: 'user' } as const],
  ])('do not include one %s', (_, stack) => {
    expect(headings(stack, GROUP)).toContain(
      `pid 4 (k) ${stack.tasks[0]?.state}${stack.tasks[0]?.cpu === 0 ? ' on CPU 0' : ''}`,
    );
  });

  test('are listed if only they match, and with -v', () => {
    expect(headings(stackOf(WORKER, 'I', [4]))).toEqual(['1 thread, 1 distinct stack.', 'pid 4 (k) I']);
    const answer = { ...ANSWER, stacks: [stackOf(WORKER, 'I', [4]), GROUP], tasks: 3 };
    const all = blockTexts(taskStacksBlocks(answer, { limit: 20, verbose: true, source: '--vmcore dump' }), null).join(
      '\n',
    );
    expect(all).not.toContain('that wait for work');
  });
});
