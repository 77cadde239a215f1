import { expect, test } from 'vitest';
import type { StackGroup } from '../../../src/account/task-stacks.js';
import { taskStacksText } from '../../../src/answers/task-stacks/render.js';
import type { KernelFacts } from '../../../src/kernel/kernel.js';

const KERNEL: KernelFacts = {
  release: '6.1',
  arch: 'x86_64',
  pageSize: 4096,
  source: 'vmcore',
  engine: 'native',
  live: false,
};

const GROUP: StackGroup = {
  frames: [
    { address: 0x1010n, interrupted: true, guess: false, symbol: { name: 'one', offset: 16 } },
    { address: 0x2020n, interrupted: false, guess: true, symbol: { name: 'two', offset: 32, module: 'm\u001b[2J' } },
    { address: 0x3030n, interrupted: true, guess: false, symbol: undefined },
  ],
  end: 'stopped',
  why: 'no table has 0x3030',
  tasks: [
    { pid: 7, process: 7, comm: 'a\nb', state: 'D', cpu: undefined, registers: undefined },
    { pid: 9, process: 7, comm: 'c', state: 'R', cpu: 1, registers: 'qemu' },
  ],
};

test('a stack shows its threads, guesses, interrupts and why it is incomplete', () => {
  const answer = { kernel: KERNEL, groups: [GROUP], tasks: 2, complete: false, warnings: [] };
  expect(taskStacksText(answer, { limit: 20, width: null })).toBe(
    [
      'At least 2 threads, 1 distinct stack.',
      '',
      '2 threads: pid 7 (a\\x0ab) D, pid 9 of 7 (c) R on CPU 1',
      '    one+0x10',
      '  ? two+0x20 [m\\x1b[2J]',
      '    --- interrupted ---',
      '    0x3030',
      '    (incomplete: no table has 0x3030)',
    ].join('\n'),
  );
  expect(taskStacksText(answer, { limit: 0, width: null })).toContain(
    '1 more stack, of 2 threads: pid 7 (a\\x0ab) D, pid 9 of 7 (c) R on CPU 1: --limit 1 lists it.',
  );
});

test.each([
  [true, 'No thread matches.'],
  [false, 'No matching thread was found, but some threads could not be read.'],
])('without threads, complete is %s', (complete, words) => {
  const answer = { kernel: KERNEL, groups: [], tasks: 0, complete, warnings: [] };
  expect(taskStacksText(answer, { limit: 20, width: null })).toBe(words);
});
