import { afterAll, expect, test } from 'vitest';
import { groupedStacks } from '../../../src/account/task-stacks.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { needSymbol, perCpuAddress, runningTask } from '../../../src/walk/cpus.js';
import { TaskReader } from '../../../src/walk/tasks/tasks.js';
import { damagedKernel } from '../../support/damaged-kernel.js';
import { labDump, labKdump } from '../../support/lab.js';
import { littleEndian } from '../../support/little-endian.js';

// A panic can stop the other CPUs anywhere, also in __schedule: written as a patch, because no
// guest is that busy.
const [file = ''] = labKdump('6.1').formats['lzo-d31'];
const kernel = openNative({ files: [file] });
afterAll(() => kernel.close());

const offset = (struct: string, path: string): bigint =>
  BigInt(kernel.struct(struct)?.member(path)?.offset ?? Number.NaN);
const sound = groupedStacks(kernel, {});
const threads = sound.groups.flatMap((group) => group.tasks.map((task) => ({ ...task, group })));
const ran = threads.filter(({ cpu }) => cpu !== undefined);
/** A user process that slept. */
const next = [...new TaskReader(kernel).processes()].find(
  ({ pid, kernelThread }) => !kernelThread && threads.some((one) => one.pid === pid && one.cpu === undefined),
)!;
const answerWith = (...patches: { address: bigint; bytes: Uint8Array }[]) =>
  groupedStacks(damagedKernel(kernel, { patches, denials: [] }), {});

test.each(ran.map(({ cpu = -1 }) => cpu))(
  'CPU %i that selected the next task, but did not switch yet, ran the previous one',
  (cpu) => {
    const queue = perCpuAddress(kernel, needSymbol(kernel, 'runqueues'), cpu);
    const before = runningTask(kernel, cpu);
    const answer = answerWith({
      address: queue + offset('rq', 'curr'),
      bytes: littleEndian(next.address, 8),
    });
    expect(answer.warnings).toEqual([
      {
        code: 'torn-list',
        message: `CPU ${cpu} was switching from pid ${before.pid} to pid ${next.pid}`,
      },
    ]);
    // Running tasks, their registers and all stacks are as before the selection.
    expect(answer.groups).toEqual(sound.groups);
  },
);

test('a task that its CPU has not left yet is no damage', () => {
  const { warnings, groups, complete } = answerWith({
    address: next.address + offset('task_struct', 'on_cpu'),
    bytes: littleEndian(1n, 4),
  });
  expect(warnings.map(({ code }) => code)).toEqual(['torn-list']);
  expect(complete).toBe(false);
  expect(groups).toEqual(sound.groups);
});

test('a task with saved registers that was on no CPU is damage', () => {
  const own = ran.find(({ pid }) => pid !== 0)!;
  const { address } = runningTask(kernel, own.cpu!);
  const { warnings } = answerWith({
    address: address + offset('task_struct', 'on_cpu'),
    bytes: littleEndian(0n, 4),
  });
  expect(warnings).toEqual([{ code: 'corrupt', message: `on_cpu and the run queue are inconsistent: pid ${own.pid}` }]);
});

test.each(['curr', 'idle'] as const)('two CPUs with one task as rq.%s are damage', (member) => {
  const qemu = openNative({ files: [labDump('newest').elf] });
  try {
    const at = (cpu: number) =>
      perCpuAddress(qemu, needSymbol(qemu, 'runqueues'), cpu) +
      BigInt(qemu.struct('rq')?.member(member)?.offset ?? Number.NaN);
    const bytes = littleEndian(qemu.read(at(0), 8).getBigUint64(0, true), 8);
    const patches = [{ address: at(1), bytes }];
    const { warnings } = groupedStacks(damagedKernel(qemu, { patches, denials: [] }), {});
    expect(warnings).toContainEqual(
      expect.objectContaining({
        code: 'corrupt',
        message: expect.stringMatching(/^CPUs 0 and 1 both run|^idle task of CPU 1/),
      }),
    );
  } finally {
    qemu.close();
  }
});
