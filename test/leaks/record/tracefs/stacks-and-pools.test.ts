import { describe, expect, test } from 'vitest';
import { CpuStream } from '../../../../src/leaks/record/tracefs/cpu-stream.js';
import { Merge } from '../../../../src/leaks/record/tracefs/drain.js';
import { type MadeEvent, pageOf } from './made-pages.js';
import { KERNELS, planOf, streamOf } from './streams.js';

const HARD_INTERRUPT = 0x08;
const SOFT_INTERRUPT = 0x10;

const allocated = (pfn: number | bigint, more: Partial<MadeEvent> = {}, order = 0): MadeEvent => ({
  name: 'mm_page_alloc',
  fields: { pfn, order },
  ...more,
});
const held = (pfn: number, more: Partial<MadeEvent> = {}): MadeEvent => ({
  name: 'page_pool_state_hold',
  fields: { pfn },
  ...more,
});
const stack = (caller: bigint, more: Partial<MadeEvent> = {}): MadeEvent => ({
  name: 'kernel_stack',
  callers: [caller],
  ...more,
});

describe.each(KERNELS)('allocations and their stacks: %s', (kernel) => {
  const stream = streamOf(kernel);

  /** Frame, frames, thread and caller of each, or `lost`. */
  const told = (...events: MadeEvent[]): string[] => {
    const plan = planOf(stream);
    const cpu = new CpuStream(plan);
    const page = pageOf(stream, 0n, events);
    cpu.page(page, page.length);
    const words: string[] = [];
    new Merge([cpu.queue], {
      allocated: (place, length, _, tid, number) =>
        words.push(`${place}+${length} ${tid} ${plan.stacks.addresses(number).join()}`),
      pooled: (frame, _, tid, number) => words.push(`${frame} pooled ${tid} ${plan.stacks.addresses(number).join()}`),
      freed: (place, length) => words.push(`${place}-${length}`),
      lost: (count) => words.push(`lost ${count}`),
    }).release(Number.POSITIVE_INFINITY);
    return words;
  };

  test('assigns an interrupting allocation its own stack', () => {
    const interrupt = { flags: HARD_INTERRUPT };
    expect(told(allocated(1), allocated(2, interrupt), stack(22n, interrupt), stack(11n))).toEqual([
      '1+1 1 11',
      '2+1 1 22',
    ]);
  });

  test('assigns an interrupt without a stack no other stack', () => {
    expect(told(allocated(1), allocated(2, { flags: SOFT_INTERRUPT }), stack(11n))).toEqual(['1+1 1 11', '2+1 1 ']);
  });

  test('assigns a stack to a thread that was switched out before it', () => {
    expect(told(allocated(1), allocated(2, { tid: 7 }), stack(22n, { tid: 7 }), stack(11n))).toEqual([
      '1+1 1 11',
      '2+1 7 22',
    ]);
  });

  test('assigns a stack without an allocation to nothing', () => {
    expect(told(allocated(1), stack(11n), stack(99n), allocated(2))).toEqual(['1+1 1 11', '2+1 1 ']);
  });

  test('ignores a failed allocation', () => {
    expect(told(allocated(2n ** 64n - 1n), allocated(5, {}, 3))).toEqual(['5+8 1 ']);
  });

  test('reports an order that no allocator returns as a loss', () => {
    expect(told(allocated(5, {}, 40), allocated(6))).toEqual(['lost null', '6+1 1 ']);
  });

  test('reports a page taken by a pool as such, with its own stack', () => {
    expect(told(allocated(1), stack(11n), held(1), stack(12n), held(2), stack(22n))).toEqual([
      '1+1 1 11',
      '1 pooled 1 12',
      '2 pooled 1 22',
    ]);
  });
});

describe('events of several CPUs', () => {
  const stream = streamOf('6.1');
  const cpuWith = (from: number, step: number, count: number) => {
    const cpu = new CpuStream(planOf(stream));
    const events = Array.from({ length: count }, (_, at) => allocated(from + at, { later: step }));
    const page = pageOf(stream, BigInt(from), events);
    cpu.page(page, page.length);
    return cpu.queue;
  };
  const sinkOf = (times: number[]) => ({
    allocated: (_place: number, _length: number, time: number) => times.push(time),
    freed: () => expect.fail('nothing was freed'),
    lost: () => expect.fail('nothing was lost'),
  });

  test('are emitted in time order, as far as it is known', () => {
    const times: number[] = [];
    const merge = new Merge(
      [1, 2, 3, 4, 5].map((cpu) => cpuWith(cpu, cpu + 2, 40)),
      sinkOf(times),
    );
    merge.release(50);
    expect(times.length).toBeGreaterThan(40);
    expect(Math.max(...times)).toBeLessThanOrEqual(50);
    merge.release(Number.POSITIVE_INFINITY);
    expect(times).toHaveLength(200);
    expect(times).toEqual(times.toSorted((one, other) => one - other));
    expect(merge.late).toBe(0);
  });

  test('are emitted and counted if they are late', () => {
    const times: number[] = [];
    const [early, late] = [cpuWith(1000, 1, 10), cpuWith(1, 1, 3)];
    const queues = [early];
    const merge = new Merge(queues, sinkOf(times));
    merge.release(5000);
    queues.push(late);
    merge.release(5000);
    expect(times).toHaveLength(13);
    expect(merge.late).toBe(3);
  });
});
