import { expect, test } from 'vitest';
import { perCpuAddress } from '../../../src/walk/cpus.js';
import { WaitTimes } from '../../../src/walk/waits/wait-time.js';
import { Warnings } from '../../../src/walk/warnings.js';
import { FixtureBase, OverlaidKernel } from '../../support/overlaid-kernel.js';

const BASE = new FixtureBase('6.1');
const [QUEUES, SECOND] = [BASE.kernel.symbol('runqueues')!, 1_000_000_000n];
const [TASK] = BASE.table.processes;

/** Seconds since the first task ran, 10 s after boot, by these clocks of CPU 0 and 1. */
function seconds(...clocks: readonly (readonly [clock: bigint, ofTasks: bigint])[]) {
  const one = new OverlaidKernel(BASE);
  for (const [cpu, [clock, ofTasks]] of clocks.entries())
    one.set('rq', perCpuAddress(BASE.kernel, QUEUES, cpu), { clock: clock * SECOND, clock_task: ofTasks * SECOND });
  one.set('task_struct', TASK!.address, { 'sched_info.last_arrival': 10n * SECOND });
  const warnings = new Warnings([]);
  const found = new WaitTimes(one.kernel(), warnings).of(TASK!);
  return [found, warnings.list().map(({ message }) => message)];
}

test('waits began before the newest clock of a run queue', () => {
  expect(seconds([15n, 15n], [40n, 20n])).toEqual([30, []]);
});

test.each([
  ['far ahead of its time for tasks', [2n ** 32n, 40n]],
  ['behind its time for tasks', [40n, 41n]],
] as const)('a clock of a run queue that is %s is reported, and not used', (_, second) => {
  expect(seconds([15n, 15n], second)).toEqual([
    5,
    [expect.stringMatching(/^the run queue of CPU 1 has a clock of \d+ ns, and \d+ ns for tasks$/)],
  ]);
});
