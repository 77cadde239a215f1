import { afterAll, expect, test } from 'vitest';
import { groupedStacks } from '../../../src/account/task-stacks.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { needSymbol, perCpuAddress, runningTask } from '../../../src/walk/cpus.js';
import { TaskReader } from '../../../src/walk/tasks/tasks.js';
import { type Damage, memoryOf } from '../../support/damaged-kernel.js';
import { labKdump } from '../../support/lab.js';
import { dumpKernel } from '../../support/opened-kernel.js';

// A panic can stop the other CPUs anywhere, also in __schedule: written as a patch, because no
// guest is that busy.
const [file = ''] = labKdump('6.1').formats['lzo-d31'];
const kernel = openNative({ files: [file] });
afterAll(() => kernel.close());
const { set, damagedBy } = memoryOf(kernel);
const sound = groupedStacks(kernel, {});
const threads = sound.stacks.flatMap((group) => group.tasks.map((task) => ({ ...task, group })));
const ran = threads.filter(({ cpu }) => cpu !== null);
/** A user process that slept. */
const next = [...new TaskReader(kernel).processes()].find(
  ({ pid, kernelThread }) => !kernelThread && threads.some((one) => one.pid === pid && one.cpu === null),
)!;
const answerWith = (...damages: Damage[]) => groupedStacks(damagedBy(...damages), {});

test.each(ran.map(({ cpu }) => cpu ?? -1))(
  'CPU %i that selected the next task, but did not switch yet, ran the previous one',
  (cpu) => {
    const queue = perCpuAddress(kernel, needSymbol(kernel, 'runqueues'), cpu);
    const before = runningTask(kernel, cpu);
    // The scheduler moves a task to the CPU's queue before it selects it.
    const moved = set(next.address, 'task_struct.thread_info.cpu', BigInt(cpu));
    const answer = answerWith(set(queue, 'rq.curr', next.address), moved);
    expect(answer.warnings).toEqual([
      { code: 'torn-list', message: `CPU ${cpu} was switching from pid ${before.pid} to pid ${next.pid}` },
    ]);
    // Running tasks, their registers and all stacks are as before the selection.
    expect(answer.stacks).toEqual(sound.stacks);
  },
);

test('a task that its CPU has not left yet is no damage', () => {
  const { warnings, stacks, complete } = answerWith(set(next.address, 'task_struct.on_cpu', 1n));
  expect(warnings.map(({ code }) => code)).toEqual(['torn-list']);
  expect(complete).toBe(false);
  expect(stacks).toEqual(sound.stacks);
});

test('a task with saved registers that was on no CPU is damage', () => {
  const own = ran.find(({ pid }) => pid !== 0)!;
  const { address } = runningTask(kernel, own.cpu!);
  const { warnings } = answerWith(set(address, 'task_struct.on_cpu', 0n));
  expect(warnings).toEqual([{ code: 'corrupt', message: `on_cpu and the run queue are inconsistent: pid ${own.pid}` }]);
});

const qemu = dumpKernel('newest');

test.each(['curr', 'idle'] as const)('two CPUs with one task as rq.%s are damage', (member) => {
  const queueOf = (cpu: number) => perCpuAddress(qemu.kernel, needSymbol(qemu.kernel, 'runqueues'), cpu);
  const shared = qemu.set(queueOf(1), `rq.${member}`, qemu.read(queueOf(0), `rq.${member}`));
  const { warnings } = groupedStacks(qemu.damagedBy(shared), {});
  expect(warnings).toContainEqual(
    expect.objectContaining({
      code: 'corrupt',
      message: expect.stringMatching(/^CPUs 0 and 1 both run|^idle task of CPU 1/),
    }),
  );
});
