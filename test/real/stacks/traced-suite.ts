import { beforeAll, describe, expect, test } from 'vitest';
import { type StacksAnswer, taskStacksSchema } from '../../../src/contracts/task-stacks.js';
import { kdumpMemJson } from '../../support/cli.js';
import { testGuest } from '../../support/guest.js';
import type { LabKernel } from '../../support/lab.js';
import { frameNames, procStacks } from './proc-stacks.js';

/**
 * One process sleeps in functions whose return the function_graph tracer hooks, the next in one
 * with a return probe; then both tracers are removed.
 */
const TRACE = `
set -e
mount -t tracefs none /sys/kernel/tracing
cd /sys/kernel/tracing
mkfifo /tmp/fifo
sleep 9999 3<> /tmp/fifo < /dev/null > /dev/null 2>&1 &
echo function_graph > current_tracer
sleep 9998 < /dev/null > /dev/null 2>&1 &
sleep 1
echo nop > current_tracer
echo 'r:returns vfs_read' > kprobe_events
echo 1 > events/kprobes/returns/enable
cat /tmp/fifo > /dev/null 2>&1 &
sleep 1
`;

/**
 * Compares stacks of processes whose return addresses were replaced by tracers with the kernel's
 * own unwinding.
 */
export function tracedSuite(kernel: LabKernel): void {
  describe(`traced stacks on ${kernel}`, () => {
    const guest = testGuest(kernel);
    let theirs: ReadonlyMap<number, readonly string[]>;
    let answer: StacksAnswer;

    beforeAll(async () => {
      await guest.boot({ memoryMiB: 256 });
      await guest.run(TRACE);
      theirs = await procStacks(guest);
      answer = await kdumpMemJson(taskStacksSchema, 'stacks', '--vmcore', await guest.lastDump());
    });

    const named = (comm: string) =>
      answer.stacks.flatMap((stack) =>
        stack.tasks.filter((task) => task.comm === comm).map(({ pid }) => ({ pid, stack })),
      );

    test('return addresses are read from the function_graph tracer', () => {
      const sleeping = named('sleep');
      expect(sleeping.length).toBe(2);
      for (const { pid, stack } of sleeping) {
        expect(stack).toMatchObject({ end: 'user', why: null });
        const lines = theirs.get(pid) ?? [];
        expect(lines.length).toBeGreaterThan(3);
        expect(frameNames(stack.frames).slice(-lines.length)).toEqual(lines);
      }
    });

    test('return addresses are read from a return probe, or reported as missing', () => {
      const [reading, ...others] = named('cat');
      expect(others).toEqual([]);
      const lines = theirs.get(reading?.pid ?? 0) ?? [];
      const names = frameNames(reading?.stack.frames ?? []);
      if (kernel === '5.10') {
        expect(reading?.stack.end).toBe('stopped');
        expect(reading?.stack.why).toContain('a tracer replaced the return address');
        expect(names.at(-1)).toMatch(/^vfs_read\+/);
        return;
      }
      expect(lines.some((line) => line.startsWith('vfs_read+'))).toBe(true);
      expect(reading?.stack).toMatchObject({ end: 'user', why: null });
      expect(names.slice(-lines.length)).toEqual(lines);
    });
  });
}
