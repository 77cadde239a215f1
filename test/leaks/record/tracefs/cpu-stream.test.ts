import { describe, expect, test } from 'vitest';
import { CpuStream } from '../../../../src/leaks/record/tracefs/cpu-stream.js';
import { Merge } from '../../../../src/leaks/record/tracefs/drain.js';
import { KERNELS, pagesOf, planOf, type Stream, streamOf } from './streams.js';

/** One event in a notation of both sources: microseconds, kind, first frame, frames, thread, functions of its stack. */
type Told = string;

describe.each(KERNELS)('pages of a kernel compared with its text trace: %s', (kernel) => {
  const stream = streamOf(kernel);

  test('contain each event once, with time, frame, order, thread and stack', () => {
    const parsed = inPages(stream);
    const expected = inText(stream);
    expect(expected.length).toBeGreaterThan(150);
    expect(parsed.toSorted()).toEqual(expected.toSorted());
  });

  test('yield events in time order', () => {
    const times = inPages(stream).map((one) => Number(one.split(' ')[0]));
    expect(times).toEqual(times.toSorted((one, other) => one - other));
  });
});

function inPages(stream: Stream): Told[] {
  const plan = planOf(stream);
  const [allocations, frees] = [new CpuStream(plan), new CpuStream(plan)];
  for (const page of pagesOf(stream.allocations)) allocations.page(page, page.length);
  for (const page of pagesOf(stream.frees)) frees.page(page, page.length);
  const parsed: Told[] = [];
  const addresses = stream.symbols
    .map(([address, name]) => [BigInt(`0x${address}`), name] as const)
    .toSorted(([one], [other]) => (one < other ? -1 : 1));
  const nameOf = (address: bigint) => addresses.findLast(([start]) => start <= address)?.[1];
  const merge = new Merge([allocations.queue, frees.queue], {
    allocated(place, length, time, tid, stack) {
      const names = plan.stacks.addresses(stack).map(nameOf);
      parsed.push([microseconds(time), 'allocated', place, length, tid, ...names].join(' '));
    },
    freed(place, length, time) {
      parsed.push([microseconds(time), 'freed', place, length].join(' '));
    },
    lost() {
      parsed.push('lost');
    },
  });
  merge.release(Number.POSITIVE_INFINITY);
  expect([allocations.strange, frees.strange, merge.late]).toEqual([0, 0, 0]);
  return parsed;
}

const EVENT =
  /-(?<tid>\d+) +\[\d+\] \S+ +(?<seconds>\d+)\.(?<micro>\d{6}): (?:mm_page_(?<what>alloc|free): page=\S+ pfn=(?<pfn>0x[0-9a-f]+|\d+) order=(?<order>\d+)|<stack trace>)/;

/** From the kernel's text alone: a stack belongs to the last allocation of its thread. */
function inText({ allocationsText, freesText }: Stream): Told[] {
  const parsed: Told[] = [];
  const last = new Map<string, number>();
  let stackOf = -1;
  for (const line of `${allocationsText}${freesText}`.split('\n')) {
    const called = /^ => (\S+)$/.exec(line)?.[1];
    if (called !== undefined) parsed[stackOf] += ` ${called}`;
    const { tid = '', seconds, micro, what, pfn, order } = EVENT.exec(line)?.groups ?? {};
    if (seconds === undefined) continue;
    if (what === undefined) stackOf = last.get(tid) ?? -1;
    else {
      const place = [Number(pfn), 2 ** Number(order)];
      const time = Number(seconds) * 1e6 + Number(micro);
      if (what === 'alloc') last.set(tid, parsed.length);
      parsed.push((what === 'alloc' ? [time, 'allocated', ...place, tid] : [time, 'freed', ...place]).join(' '));
    }
  }
  return parsed;
}

/** Rounds like the kernel (ns2usecs in kernel/trace/trace.c). */
function microseconds(time: number): number {
  return Math.floor((time + 500) / 1000);
}
