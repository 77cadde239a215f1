import { describe, expect, test } from 'vitest';
import { ReadError } from '../../../src/kernel/error.js';
import type { Kernel } from '../../../src/kernel/kernel.js';
import { fieldsOf } from '../../../src/walk/machine/fields.js';
import { logBackwards } from '../../../src/walk/machine/log.js';
import { readPanic } from '../../../src/walk/machine/panic.js';
import { Unknowns } from '../../../src/walk/machine/unknowns.js';
import { noPages } from '../../support/no-pages.js';

/** Offsets as 6.1's VMCOREINFO states them. */
const SAID: Readonly<Record<string, number>> = {
  'printk_ringbuffer.desc_ring': 0,
  'printk_ringbuffer.text_data_ring': 48,
  'prb_desc_ring.count_bits': 0,
  'prb_desc_ring.descs': 8,
  'prb_desc_ring.infos': 16,
  'prb_desc_ring.head_id': 24,
  'prb_desc_ring.tail_id': 32,
  prb_desc: 24,
  'prb_desc.state_var': 0,
  'prb_desc.text_blk_lpos': 8,
  'prb_data_blk_lpos.begin': 0,
  'prb_data_blk_lpos.next': 8,
  printk_info: 88,
  'printk_info.ts_nsec': 8,
  'printk_info.text_len': 16,
  'prb_data_ring.size_bits': 0,
  'prb_data_ring.data': 8,
};

const BASE = 0xffffffff81000000n;
const AT = { pointer: 0, ring: 64, panicCpu: 256, descs: 512, infos: 1024, data: 4096 };
const COUNT_BITS = 3;
const SIZE_BITS = 8;

/** Where printk puts each line: `start` in the ring; the others are positions that only grow. */
function blocksOf(lines: readonly string[]) {
  const size = 1 << SIZE_BITS;
  let begin = 0;
  return lines.map((line) => {
    const block = 8 + Math.ceil(line.length / 8) * 8;
    const wraps = Math.floor(begin / size) !== Math.floor((begin + block - 1) / size);
    const data = wraps ? Math.ceil(begin / size) * size : begin;
    const placed = { line, begin, data, start: data % size, next: data + block };
    begin = placed.next;
    return placed;
  });
}

/** A kernel whose log holds these lines, written as printk does, over and over its small ring. */
function kernelWithLog(lines: readonly string[], panicCpu = -1): Kernel {
  const bytes = new Uint8Array(8192);
  const view = new DataView(bytes.buffer);
  const word = (at: number, value: bigint): void => view.setBigUint64(at, value, true);
  word(AT.pointer, BASE + BigInt(AT.ring));
  view.setInt32(AT.panicCpu, panicCpu, true);
  view.setUint32(AT.ring, COUNT_BITS, true);
  word(AT.ring + 8, BASE + BigInt(AT.descs));
  word(AT.ring + 16, BASE + BigInt(AT.infos));
  view.setUint32(AT.ring + 48, SIZE_BITS, true);
  word(AT.ring + 56, BASE + BigInt(AT.data));
  const firstId = 2 ** 40 - 3;
  blocksOf(lines).forEach(({ line, begin, start, next }, index) => {
    const id = BigInt(firstId + index);
    const slot = Number(id & 7n);
    word(AT.descs + slot * 24, (2n << 62n) | id);
    word(AT.descs + slot * 24 + 8, BigInt(begin));
    word(AT.descs + slot * 24 + 16, BigInt(next));
    word(AT.infos + slot * 88 + 8, BigInt(index) * 1_000_000n);
    view.setUint16(AT.infos + slot * 88 + 16, line.length, true);
    word(AT.data + start, id);
    bytes.set(Buffer.from(line, 'latin1'), AT.data + start + 8);
  });
  const newest = firstId + lines.length - 1;
  word(AT.ring + 24, BigInt(newest));
  word(AT.ring + 32, BigInt(Math.max(firstId, newest - 7)));
  const symbols: Readonly<Record<string, number>> = { prb: AT.pointer, panic_cpu: AT.panicCpu };
  return {
    facts: {
      release: '',
      arch: 'x86_64',
      pageSize: 4096,
      source: 'vmcore',
      engine: 'native',
      live: false,
    },
    read(address, length) {
      const offset = Number(address - BASE);
      if (!(offset >= 0 && offset + length <= bytes.length)) throw new ReadError('absent', address);
      return new DataView(bytes.buffer, offset, length);
    },
    symbol: (name) => (symbols[name] === undefined ? undefined : BASE + BigInt(symbols[name])),
    struct: () => undefined,
    enumerators: () => undefined,
    pages: noPages(),
    noteReads: () => () => {},
    close: () => {},
  };
}

const fields = (kernel: Kernel) =>
  fieldsOf(kernel, { offset: (name) => SAID[name], size: (name) => SAID[name] });

function logOf(lines: readonly string[]): string[] {
  const kernel = kernelWithLog(lines);
  return [...logBackwards(kernel, fields(kernel))].map(({ text }) => text);
}

function panicOf(lines: readonly string[], panicCpu = -1, crashed = false) {
  const kernel = kernelWithLog(lines, panicCpu);
  const unknowns = new Unknowns();
  return { ...readPanic(kernel, fields(kernel), crashed, unknowns), unknowns: unknowns.list() };
}

describe('the printk ring buffer', () => {
  test('gives the newest record first', () => {
    expect(logOf(['one', 'two', 'three'])).toEqual(['three', 'two', 'one']);
  });

  test('records whose text wraps come out whole, those that were overwritten not at all', () => {
    const all = Array.from({ length: 60 }, (_, i) => `line ${i} ${'x'.repeat((i * 7) % 30)}`);
    let wrapped = 0;
    for (let count = 1; count <= all.length; count++) {
      const lines = all.slice(0, count);
      const blocks = blocksOf(lines);
      const end = blocks.at(-1)!.next;
      // Eight descriptors, and as much text as the ring has bytes.
      const kept = blocks.slice(-8).filter(({ data }) => end - data <= 1 << SIZE_BITS);
      wrapped += kept.filter(({ begin, data }) => data !== begin).length;
      expect(logOf(lines)).toEqual(kept.map(({ line }) => line).reverse());
    }
    expect(wrapped).toBeGreaterThan(10);
  });

  test('a ring that claims an absurd size is damage', () => {
    const kernel = kernelWithLog(['one']);
    kernel.read(BASE + BigInt(AT.ring), 4).setUint32(0, 60, true);
    expect(() => [...logBackwards(kernel, fields(kernel))]).toThrow(
      expect.objectContaining({ code: 'damaged' }),
    );
  });
});

describe('a panic', () => {
  const OOPS = [
    'booting',
    'BUG: kernel NULL pointer dereference, address: 0000000000000010',
    'Oops: 0002 [#1] PREEMPT SMP',
    'Kernel panic - not syncing: Fatal exception',
    '---[ end Kernel panic',
  ];

  test('its message is the last panic line, its cause the fault before', () => {
    expect(panicOf(OOPS, -1, true)).toMatchObject({
      state: 'panicked',
      message: 'Kernel panic - not syncing: Fatal exception',
      cause: 'BUG: kernel NULL pointer dereference, address: 0000000000000010',
      unknowns: [],
    });
  });

  test('an oops that led straight into kdump has no panic line', () => {
    const { message, cause, state } = panicOf(OOPS.slice(0, 3), -1, true);
    expect({ message, cause, state }).toEqual({
      message: undefined,
      cause: 'BUG: kernel NULL pointer dereference, address: 0000000000000010',
      state: 'panicked',
    });
  });

  test('no panic is said only if log and CPU both say so', () => {
    expect(panicOf(['booting'])).toMatchObject({ state: 'running', unknowns: [] });
    const kernel = kernelWithLog(['booting']);
    const unknowns = new Unknowns();
    const blind = {
      ...kernel,
      symbol: (name: string) => (name === 'prb' ? undefined : kernel.symbol(name)),
    };
    expect(readPanic(blind, fields(kernel), false, unknowns).state).toBe('unknown');
    expect(unknowns.list()).toEqual([{ what: 'the log', why: 'there is no symbol prb' }]);
  });

  test('a CPU that panicked is enough, and a task that cannot be told is noted', () => {
    const found = panicOf(['booting'], 1);
    expect(found).toMatchObject({ state: 'panicked', cpu: 1 });
    expect(found.task).toBeUndefined();
    expect(found.unknowns.map(({ what }) => what)).toEqual(['the task that panicked']);
  });
});
