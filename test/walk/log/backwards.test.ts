import { describe, expect, test } from 'vitest';
import { logBackwards } from '../../../src/walk/log/backwards.js';
import { readPanic } from '../../../src/walk/machine/panic.js';
import { Unknowns } from '../../../src/walk/machine/unknowns.js';
import {
  blocksOf,
  kernelWithLog,
  LOG_AT,
  LOG_BASE,
  LOG_BYTES,
  logFields,
} from '../../support/made-log.js';

function logOf(lines: readonly string[]): string[] {
  const kernel = kernelWithLog(lines);
  return [...logBackwards(kernel, logFields(kernel))].map(({ text }) => text);
}

function panicOf(lines: readonly string[], panicCpu = -1, crashed = false) {
  const kernel = kernelWithLog(lines, panicCpu);
  const unknowns = new Unknowns();
  return { ...readPanic(kernel, logFields(kernel), crashed, unknowns), unknowns: unknowns.list() };
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
      const kept = blocks.slice(-8).filter(({ data }) => end - data <= LOG_BYTES);
      wrapped += kept.filter(({ begin, data }) => data !== begin).length;
      expect(logOf(lines)).toEqual(kept.map(({ line }) => line).reverse());
    }
    expect(wrapped).toBeGreaterThan(10);
  });

  test('a ring that claims an absurd size is damage', () => {
    const kernel = kernelWithLog(['one']);
    kernel.read(LOG_BASE + BigInt(LOG_AT.ring), 4).setUint32(0, 60, true);
    expect(() => [...logBackwards(kernel, logFields(kernel))]).toThrow(
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
    expect(readPanic(blind, logFields(kernel), false, unknowns).state).toBe('unknown');
    expect(unknowns.list()).toEqual([{ what: 'the log', why: 'there is no symbol prb' }]);
  });

  test('a CPU that panicked is enough, and a task that cannot be told is noted', () => {
    const found = panicOf(['booting'], 1);
    expect(found).toMatchObject({ state: 'panicked', cpu: 1 });
    expect(found.task).toBeUndefined();
    expect(found.unknowns.map(({ what }) => what)).toEqual(['the task that panicked']);
  });
});
