import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { liveHost } from '../../../../src/host/live.js';
import { startTicks } from '../../../../src/host/proc/process.js';
import {
  blockFilter,
  frameFilter,
  instanceName,
  objectFilter,
  ownerOf,
  removeOrphans,
} from '../../../../src/leaks/record/tracefs/instances.js';
import { ALL, narrowed, sampleOf } from '../../../../src/leaks/record/tracefs/kinds.js';
import type { Sample } from '../../../../src/leaks/recording.js';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tracefs-'));
  mkdirSync(join(root, 'instances'));
});
afterEach(() => rmSync(root, { recursive: true }));

const make = (name: string) => mkdirSync(join(root, 'instances', name));

test('removes instances of an exited process, and no others', () => {
  const { pid: gone } = spawnSync('true');
  const start = startTicks(liveHost, 'self') ?? '';
  const ours = instanceName({ pid: process.pid, start }, 'allocations');
  const killed = instanceName({ pid: gone, start: '17' }, 'frees');
  // The pid belongs to another process by now.
  const before = instanceName({ pid: process.pid, start: '17' }, 'allocations');
  const others = ['perf', 'kdump-mem', 'kdump-mem-1-2', 'kdump-mem-x-17-frees'];
  for (const name of [ours, killed, before, ...others]) make(name);
  expect(removeOrphans(root).toSorted()).toEqual([killed, before].toSorted());
  expect(readdirSync(join(root, 'instances')).toSorted()).toEqual([ours, ...others].toSorted());
});

test('keeps an instance that has a reader, since the kernel reports it as busy', () => {
  const name = instanceName({ pid: 4_194_305, start: '17' }, 'allocations');
  make(join(name));
  make(join(name, 'per_cpu'));
  expect(removeOrphans(root)).toEqual([]);
  expect(readdirSync(join(root, 'instances'))).toEqual([name]);
});

test('identifies a process by its start time', () => {
  const self = startTicks(liveHost, 'self');
  expect(self).toMatch(/^\d+$/);
  expect(startTicks(liveHost, process.pid)).toBe(self);
  expect(startTicks(liveHost, 4_194_305)).toBe(null);
  expect(ownerOf(instanceName({ pid: 5, start: '6' }, 'rate'))).toEqual({ pid: 5, start: '6' });
});

const MAX_ORDER = 10;

/** Kernel filters are C, except that `a & m` means "not zero"; with parentheses, JavaScript evaluates it alike. */
function passes(filter: string): (fields: Record<string, number>) => boolean {
  expect(filter).toMatch(/^[\w\s&|!()>=]+$/);
  const names = ['pfn', 'order', 'ptr'];
  const act = new Function(...names, `return Boolean(${filter});`);
  return (fields) => act(...names.map((name) => fields[name]));
}

function hasFrameOf({ mask, residue }: Sample, start: number, order: number): boolean {
  for (let frame = start; frame < start + 2 ** order; frame++) if ((BigInt(frame) & mask) === residue) return true;
  return false;
}

function samples(lowBit: number, oneIn: number): Sample[] {
  const mask = BigInt(oneIn - 1) << BigInt(lowBit);
  return Array.from({ length: oneIn }, (_, at) => ({ oneIn, mask, residue: BigInt(at) << BigInt(lowBit) }));
}

describe.each([
  [3, 2],
  [3, 16],
  [0, 8],
  [5, 64],
])('a filter for blocks: bits from %i on, one in %i', (lowBit, oneIn) => {
  test.each(samples(lowBit, oneIn).filter((_, at) => at % 5 < 2))(
    'passes exactly the blocks with a frame in the sample: $residue',
    (sample) => {
      const filter = passes(blockFilter(sample));
      for (let order = 0; order <= MAX_ORDER; order++)
        for (let start = 0; start < 2 ** 11; start += 2 ** order)
          if (filter({ pfn: start, order }) !== hasFrameOf(sample, start, order))
            expect.fail(`${blockFilter(sample)}: frame ${start}, order ${order}`);
    },
  );
});

describe('filters', () => {
  const sample: Sample = { oneIn: 8, mask: 0x38n, residue: 0x28n };

  test('compare most blocks once or twice', () => {
    expect(blockFilter(sample)).toBe(
      '(!(pfn & 0x10) && (pfn & 0x8) && (pfn & 0x20)) || (order >= 4 && ((!(pfn & 0x10) && (pfn & 0x20)) || (order >= 5 && ((pfn & 0x20) || order >= 6))))',
    );
  });

  test('may omit small blocks', () => {
    expect(blockFilter(ALL, 3)).toBe('order >= 3');
    expect(blockFilter(sample, 3)).toBe(`order >= 3 && (${blockFilter(sample)})`);
  });

  test('are empty if everything is followed', () => {
    expect([blockFilter(ALL), frameFilter(ALL), objectFilter(ALL)]).toEqual(['0', '0', '0']);
  });

  test('compare all bits of frames and objects', () => {
    expect(frameFilter(sample)).toBe('(!(pfn & 0x10) && (pfn & 0x8) && (pfn & 0x20))');
    expect(objectFilter({ oneIn: 4, mask: 0x3000n, residue: 0n })).toBe('!(ptr & 0x3000)');
  });

  test('fit into one page', () => {
    const mask = 0xfffn << 3n;
    expect(blockFilter({ oneIn: 4096, mask, residue: mask }).length).toBeLessThan(4000);
  });
});

describe('samples', () => {
  test('are random', () => {
    const residues = Array.from({ length: 200 }, () => sampleOf(8, 3).residue);
    expect(new Set(residues).size).toBe(8);
    expect(residues.every((residue) => (residue & ~0x38n) === 0n)).toBe(true);
  });

  test('contain a part of half the size', () => {
    let sample = sampleOf(1, 12);
    for (let oneIn = 2; oneIn <= 1024; oneIn *= 2) {
      const part = narrowed(sample, 12);
      expect(part.oneIn).toBe(oneIn);
      expect(part.mask).toBe(BigInt(oneIn - 1) << 12n);
      expect(part.residue & sample.mask).toBe(sample.residue);
      sample = part;
    }
  });

  test('refuse other rates', () => {
    for (const oneIn of [0, 3, 0.5, 8192]) expect(() => sampleOf(oneIn, 3)).toThrow(RangeError);
  });
});
