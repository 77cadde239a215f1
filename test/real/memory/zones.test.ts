import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { memorySchema } from '../../../src/contracts/memory.js';
import { kdumpMem } from '../../support/in-process.js';
import { KERNELS, LAB, ofRun } from '../../support/lab.js';

const NUMA = ofRun(['6.1-numa', 'newest-numa']);
const CASES = [...KERNELS, ...NUMA, '6.12-arm64-16k'];

/** Zones with memory in the guest's /proc/zoneinfo. */
function zoneinfo(dump: string) {
  const text = readFileSync(join(LAB, 'dumps', dump, 'zoneinfo'), 'utf8');
  return text.split(/^(?=Node )/m).flatMap((part) => {
    const [, node, zone] = /^Node (\d+), zone +(\w+)/.exec(part) ?? [];
    const pages = (name: string) => Number(new RegExp(`^ +${name} +(\\d+)$`, 'm').exec(part)?.[1]);
    if (pages('present') === 0) return [];
    return {
      node: Number(node),
      zone: zone ?? '',
      presentPages: pages('present'),
      managedPages: pages('managed'),
      watermarks: { min: pages('min'), low: pages('low'), high: pages('high') },
    };
  });
}

describe.each(CASES)('zones of %s match its /proc/zoneinfo', (dump) => {
  const core = join(LAB, 'dumps', dump, 'elf.vmcore');

  test('in JSON', async () => {
    const { stdout } = await kdumpMem('memory', '--nodes', '--json', '--vmcore', core);
    const { zones } = memorySchema.parse(JSON.parse(stdout));
    // Free pages of the guest changed between its own figures and the dump.
    expect(zones.map(({ freeBlocks: _, freePages: __, ...zone }) => zone)).toEqual(zoneinfo(dump));
    for (const { freeBlocks, freePages } of zones)
      expect(freePages).toBe(freeBlocks.reduce((sum, blocks, order) => sum + blocks * 2 ** order, 0));
  });

  test('in the table', async () => {
    const { stdout } = await kdumpMem('memory', '--nodes', '--vmcore', core);
    const rows = stdout.split('\n').map((line) => line.trim().split(/ {2,}/));
    const named = rows.filter(([node]) => /^\d+$/.test(node ?? ''));
    expect(named.map(([node, zone]) => `${node} ${zone}`)).toEqual(
      zoneinfo(dump).map(({ node, zone }) => `${node} ${zone}`),
    );
  });
});

test.each(NUMA)('%s has two nodes and hotplugged memory', (dump) => {
  const said = zoneinfo(dump).map(({ node, zone }) => `${node} ${zone}`);
  expect(said).toEqual(['0 DMA', '0 DMA32', '1 DMA32', '1 Movable']);
});
