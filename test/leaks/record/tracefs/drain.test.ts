import { expect, test } from 'vitest';
import { CpuStream } from '../../../../src/leaks/record/tracefs/cpu-stream.js';
import { Drain } from '../../../../src/leaks/record/tracefs/drain.js';
import { type MadeEvent, pageOf } from './made-pages.js';
import { planOf, streamOf } from './streams.js';

const MS = 1e6;
const stream = streamOf('6.12');

const allocated = (pfn: number): MadeEvent => ({ name: 'mm_page_alloc', fields: { pfn, order: 0 } });
const stack: MadeEvent = { name: 'kernel_stack', callers: [0xffff_ffff_8100_0000n] };

/** Buffers of one CPU each: pages stay there until they are read. */
function scene(cpus: number) {
  let now = 0;
  const told: number[] = [];
  const stacks: boolean[] = [];
  const plan = planOf(stream);
  const buffers = Array.from({ length: cpus }, () => {
    const cpu = new CpuStream(plan);
    const waiting: Buffer[] = [];
    const read = (most: number, time: number) => {
      const pages = waiting.splice(0, most);
      for (const page of pages) cpu.page(page, page.length);
      const drained = pages.length < most;
      cpu.knownUntil = drained ? time : cpu.lastTime;
      return { drained, mostPages: pages.length };
    };
    return { streams: [cpu], read, waiting };
  });
  const sink = {
    allocated: (place: number, _length: number, _time: number, _tid: number, number: number) => {
      told.push(place);
      stacks.push(number > 0);
    },
    freed: () => expect.fail('nothing was freed'),
    lost: () => expect.fail('nothing was lost'),
  };
  const drain = new Drain(buffers, sink, { now: () => now, pagesOfBuffer: 100_000 });
  return {
    drain,
    told,
    stacks,
    write: (cpu: number, ms: number, ...events: MadeEvent[]) =>
      buffers[cpu]?.waiting.push(pageOf(stream, BigInt(ms * MS), events)),
    at: (ms: number) => {
      now = ms * MS;
    },
  };
}

test('holds back an event while another CPU may still write an earlier one', () => {
  const { drain, told, write, at } = scene(2);
  write(0, 95, allocated(2), stack);
  at(100);
  drain.round();
  expect(told).toEqual([]);
  // Its writer was interrupted: the event is older, but arrives later.
  write(1, 94, allocated(1), stack);
  at(140);
  drain.round();
  expect(told).toEqual([1, 2]);
  expect(drain.late).toBe(0);
});

test('waits for the stack of an allocation, up to a limit', () => {
  const { drain, told, stacks, write, at } = scene(1);
  write(0, 10, allocated(1));
  at(100);
  drain.round();
  expect(told).toEqual([]);
  write(0, 99, stack);
  drain.round();
  expect([told, stacks]).toEqual([[1], [true]]);
  write(0, 110, allocated(2));
  at(500);
  drain.round();
  expect([told, stacks]).toEqual([
    [1, 2],
    [true, false],
  ]);
});

test('emits no events of other buffers later than the unread rest of a full one', () => {
  const { drain, told, write, at } = scene(2);
  // More than one round reads from each buffer.
  for (let page = 0; page < 3000; page++) write(0, page, allocated(page), stack);
  write(1, 2900, allocated(9999), stack);
  at(5000);
  drain.round();
  expect(told).not.toContain(9999);
  expect(told.length).toBeGreaterThan(1000);
  drain.round();
  expect(told.indexOf(9999)).toBe(2901);
  expect(told).toHaveLength(3001);
  expect(drain.late).toBe(0);
});

test('emits all remaining events at the end', () => {
  const { drain, told, write, at } = scene(1);
  write(0, 99, allocated(1), allocated(2));
  at(100);
  drain.finish();
  expect(told).toEqual([1, 2]);
});
