import { afterAll, beforeAll, expect, test } from 'vitest';
import { bpftraceInGuest, MOUNT } from '../../../../scripts/lab-parts/bpftrace.mjs';
import { LeakGuest } from '../leak-guest.js';

const ROUNDS = 3;

/** Processes that touch memory and exit, without pauses: as many events as one CPU can cause. */
const WORK = 'work fork 60 1';

const ENGINES = { tracefs: '--sample 1/1', bpftrace: '--engine bpftrace' } as const;

let guest: LeakGuest;

beforeAll(async () => {
  const disk = bpftraceInGuest('6.1');
  guest = await LeakGuest.boot('6.1', {
    ...disk,
    // Its clock counts instructions.
    cpus: 1,
    counted: true,
    memoryMiB: 1536,
  });
  await guest.mount();
  await guest.guest.run(MOUNT);
});

afterAll(() => guest?.end());

/** Duration in the guest's own nanoseconds. */
async function took(): Promise<number> {
  const { output } = await guest.guest.run(WORK);
  return Number(output.toString());
}

const median = (times: readonly number[]) =>
  times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? Number.NaN;

test('with many events, pairing in the kernel costs less than reporting each event', async () => {
  const times: Record<'alone' | keyof typeof ENGINES, number[]> = { alone: [], tracefs: [], bpftrace: [] };
  for (let round = 0; round < ROUNDS; round++) {
    times.alone.push(await took());
    for (const engine of ['tracefs', 'bpftrace'] as const) {
      await guest.start(`${ENGINES[engine]} --interval 1h`);
      await guest.guest.run('sleep 3');
      times[engine].push(await took());
      await guest.signal('INT');
      const { status, stderr } = await guest.finish();
      expect([status, stderr]).toEqual([0, expect.any(String)]);
    }
  }
  const [alone, tracefs, bpftrace] = [times.alone, times.tracefs, times.bpftrace].map(median);
  const more = (time = Number.NaN) => time / (alone ?? Number.NaN) - 1;
  const percent = (share: number) => `${(100 * share).toFixed(1)} % more`;
  console.log(times, { tracefs: percent(more(tracefs)), bpftrace: percent(more(bpftrace)) });
  expect(more(bpftrace)).toBeLessThan(more(tracefs));
});
