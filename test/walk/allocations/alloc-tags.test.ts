import { describe, expect, test } from 'vitest';
import { AllocationTags, profilingState } from '../../../src/walk/allocations/alloc-tags.js';
import { made, madeKernel } from '../../support/made-kernel.js';

type Words = Parameters<typeof madeKernel>[0]['words'];

const AT = {
  type: 0x40,
  key: 0x50,
  possible: 0x60,
  ids: 0x68,
  offsets: 0x80,
  cttype: 0x100,
  node: 0x400,
  kernel: 0x800,
  module: 0x880,
  tags: 0x1000,
  loaded: 0x1400,
  texts: 0x2000,
  counters: 0x4000,
  cpu: 0x1000,
} as const;
const TAG = 40;

/** Encodes text as words of memory. */
function textAt(place: number, text: string): Words {
  const bytes = Buffer.from(`${text}\0`);
  return Object.fromEntries([...bytes].map((byte, index) => [place + index, [byte, 1] as const]));
}

/** An allocation tag and its counters on two CPUs. */
const tag = (
  at: number,
  line: number,
  counters: number,
  sums: readonly (readonly [bytes: bigint, calls: bigint])[],
  module = false,
): Words => ({
  [at]: [0, 4],
  [at + 4]: [line, 4],
  [at + 8]: module ? made(AT.texts + 0x80) : 0n,
  [at + 16]: made(AT.texts),
  [at + 24]: made(AT.texts + 0x40),
  [at + 32]: made(counters),
  ...Object.fromEntries(
    sums.flatMap(([bytes, calls], cpu) => [
      [counters + cpu * AT.cpu, bytes],
      [counters + cpu * AT.cpu + 8, calls],
    ]),
  ),
});

const less = (value: bigint) => BigInt.asUintN(64, -value);

function kernelOf(changes: Words = {}) {
  return madeKernel({
    structs: {
      alloc_tag: {
        size: TAG,
        members: {
          'ct.flags': [0, 4],
          'ct.lineno': [4, 4],
          'ct.modname': 8,
          'ct.function': 16,
          'ct.filename': 24,
          counters: 32,
        },
      },
      alloc_tag_counters: { size: 16, members: { bytes: 0, calls: 8 } },
      codetag_type: { size: 0xa0, members: { count: [16, 4], 'mod_idr.idr_rt.xa_head': 32, 'desc.tag_size': 96 } },
      codetag_module: { size: 32, members: { mod: 0, 'range.start': 8, 'range.stop': 16 } },
      xa_node: { size: 0x240, members: { shift: [0, 1], slots: [40, 512, 64] } },
      static_key: { size: 16, members: { 'enabled.counter': [0, 4] } },
      cpumask: { size: 8, members: { bits: 0 } },
    },
    symbols: {
      alloc_tag_cttype: AT.type,
      mem_alloc_profiling_key: AT.key,
      __cpu_possible_mask: AT.possible,
      nr_cpu_ids: AT.ids,
      __per_cpu_offset: AT.offsets,
      __start_alloc_tags: AT.tags,
      __stop_alloc_tags: AT.tags + 3 * TAG,
    },
    words: {
      [AT.type]: made(AT.cttype),
      [AT.key]: [1, 4],
      [AT.possible]: 3n,
      [AT.ids]: [2, 4],
      [AT.offsets]: 0n,
      [AT.offsets + 8]: BigInt(AT.cpu),
      [AT.cttype + 16]: [4, 4],
      [AT.cttype + 32]: made(AT.node) + 2n,
      [AT.cttype + 96]: BigInt(TAG),
      // Entry 0 is the kernel; entry 1 belongs to an unloaded module.
      [AT.node + 40]: made(AT.kernel),
      [AT.node + 56]: made(AT.module),
      [AT.kernel + 8]: made(AT.tags),
      [AT.kernel + 16]: made(AT.tags + 3 * TAG),
      [AT.module]: made(0x3000),
      [AT.module + 8]: made(AT.loaded),
      [AT.module + 16]: made(AT.loaded + TAG),
      ...textAt(AT.texts, 'alloc_it'),
      ...textAt(AT.texts + 0x40, 'mm/x.c'),
      ...textAt(AT.texts + 0x80, 'mod'),
      // One CPU allocated this, the other freed it.
      ...tag(AT.tags, 10, AT.counters, [
        [12_288n, 3n],
        [less(4096n), less(1n)],
      ]),
      ...tag(AT.tags + TAG, 20, AT.counters + 0x20, [
        [4096n, 1n],
        [less(4096n), less(1n)],
      ]),
      ...tag(AT.tags + 2 * TAG, 30, AT.counters + 0x40, [
        [64n, 1n],
        [64n, 1n],
      ]),
      ...tag(
        AT.loaded,
        40,
        AT.counters + 0x60,
        [
          [0n, 0n],
          [8192n, 2n],
        ],
        true,
      ),
      ...changes,
    },
  });
}

function tagsOf(changes: Words = {}) {
  const lost: string[] = [];
  const tags = [...new AllocationTags(kernelOf(changes)).all(({ message }) => lost.push(message))];
  return { tags, lost };
}

const first = { symbol: 'alloc_it', module: null, inaccurate: false };

describe('allocation profiling', () => {
  test('sums the counters of all CPUs per line, for the kernel and its modules', () => {
    expect(tagsOf()).toEqual({
      tags: [
        { ...first, line: 'mm/x.c:10', bytes: 8192, calls: 2 },
        { ...first, line: 'mm/x.c:30', bytes: 128, calls: 2 },
        { ...first, line: 'mm/x.c:40', module: 'mod', bytes: 8192, calls: 2 },
      ],
      lost: [],
    });
    const low = tagsOf({ [AT.tags]: [1, 4] });
    expect(low.tags.map(({ inaccurate }) => inaccurate)).toEqual([true, false, false]);
  });

  test('reports tags that are missing from the lists, and too many tags', () => {
    for (const [words, why] of [
      [{ [AT.cttype + 16]: [5, 4] }, /counts 5 allocation tags, but 4 were found/],
      [{ [AT.node + 56]: 0n }, /counts 4 allocation tags, but 3 were found/],
      [{ [AT.cttype + 16]: [3, 4], [AT.node + 40]: 0n, [AT.node + 48]: 0n }, /but 1 were found/],
      [{ [AT.cttype + 16]: [0xffff_ffff, 4] }, /4294967295 allocation tags/],
      [{ [AT.module + 16]: made(AT.loaded + TAG + 8) }, /inconsistent/],
      [{ [AT.module + 16]: made(AT.loaded) }, /inconsistent/],
      [{ [AT.kernel + 8]: made(AT.tags - TAG) }, /inconsistent|not in their section/],
      [{ [AT.kernel + 16]: made(AT.tags + 2 * TAG) }, /not in their section/],
      [{ [AT.cttype + 96]: 48n }, /struct alloc_tag has 40 bytes, but tags have 48/],
    ] as const)
      expect(() => tagsOf(words)).toThrow(why);
  });

  test('reports impossible or unreadable counters by tag', () => {
    for (const words of [
      { [AT.counters + 0x40]: less(4096n) },
      { [AT.counters + 0x48]: less(9n) },
      { [AT.counters + 0x40]: 2n ** 60n },
      { [AT.tags + 2 * TAG + 32]: made(0x1000_0000) },
    ]) {
      const { tags, lost } = tagsOf(words);
      expect([tags.length, lost.length]).toEqual([2, 1]);
    }
  });

  test('reports whether profiling is on, off or absent', () => {
    expect(profilingState(kernelOf())).toBe('on');
    expect(profilingState(kernelOf({ [AT.key]: [0, 4] }))).toBe('off');
    expect(profilingState({ ...kernelOf(), symbol: () => undefined })).toBe('absent');
  });
});
