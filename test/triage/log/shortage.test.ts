import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { logFindings } from '../../../src/triage/log/log-findings.js';
import { readChoice, shortageFigures } from '../../../src/triage/log/shortage.js';
import { recordsOf } from './records.js';

const START = 'oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/a,mems_allowed=0';

test.each(['5.10', '6.1', '6.12', '7.2'])(
  'a report that is cut names no low zone as the one that was short: %s',
  (version) => {
    const log = readFileSync(`fixtures/logs/oom-${version}.log`, 'utf8').replaceAll(
      /(\w+) invoked oom-killer: gfp_mask=(0x\w+\([^)]*\)), order=0.*/g,
      '$1: page allocation failure: order:0, mode:$2, nodemask=(null)',
    );
    const zoneIn = (text: string) =>
      logFindings(recordsOf(text), 4096).findLast(({ code }) => code === 'allocation-failure')?.figures.zone;
    const behindDma = /lowmem_reserve.*\n/.exec(log);
    expect(zoneIn(log)).toBe('DMA32');
    expect(zoneIn(log.slice(0, behindDma!.index + behindDma![0].length))).toBeUndefined();
  },
);

test('reads paths and names that contain commas and the following keys', () => {
  const end = ',task_memcg=/b,task=/c,task=x,pid=1,uid=2,pid=3,uid=4';
  expect(readChoice(`${START},oom_memcg=/a,task_memcg=/b${end}`)).toMatchObject({
    group: '/a,task_memcg=/b',
    own: '/b,task=/c',
    pid: '3',
  });
  expect(readChoice(`${START},global_oom${end}`)).toMatchObject({ group: undefined, own: '/b,task=/c', pid: '3' });
});

test('returns undefined for a line that lacks a part', () => {
  const whole = `${START},global_oom,task_memcg=/b,task=c,pid=3,uid=4`;
  expect(readChoice(whole)).toBeDefined();
  for (const part of [',global_oom', ',task_memcg=', ',task=', ',pid=3', ',uid=4', 'oom-kill:'])
    expect(readChoice(whole.replace(part, ''))).toBeUndefined();
});

test('returns no memcg for a kernel without them', () => {
  expect(readChoice(`${START.replace('MEMCG', 'CPUSET')},task=z,pid=7,uid=3`)).toMatchObject({
    constraint: 'CPUSET',
    cpuset: '/a',
    memsAllowed: '0',
    comm: 'z',
    own: undefined,
  });
});

test('terminates quickly for a log of lines that almost match', () => {
  const line = START + ',oom_memcg='.repeat(20) + ',task_memcg='.repeat(23) + ',task='.repeat(40) + ',pid=1'.repeat(40);
  // It takes five minutes if each part is searched again behind each possible predecessor.
  const chosen = Array.from({ length: 20_000 }, () => readChoice(line));
  expect(chosen.every((choice) => choice === undefined)).toBe(true);
});

describe('the zone of a failed allocation', () => {
  const zone = (name: string, freeKib: number, minKib: number, largest: number) =>
    ({
      zone: name,
      node: 0,
      freeBytes: freeKib * 1024,
      minBytes: minKib * 1024,
      lowBytes: 2 * minKib * 1024,
      highBytes: 3 * minKib * 1024,
      reserves: [0, 0, 0],
      freeBlocks: [{ order: largest, count: 1, types: 'UM' }],
    }) as unknown as Parameters<typeof shortageFigures>[0][number];
  const refused = (zones: readonly ReturnType<typeof zone>[], order: number, mask = 0xcc0) =>
    shortageFigures(zones, { order, mask, pageSize: 4096, mark: 'minBytes' });

  test('is below its min watermark, or has no block of the order', () => {
    expect(refused([zone('Normal', 900, 1000, 9)], 0)).toMatchObject({
      shortage: 'watermark',
      zone: 'Normal',
      zoneFreeBytes: 900 * 1024,
    });
    // Above min, but below high, which only the OOM killer requires.
    const normal = zone('Normal', 2000, 1000, 3);
    expect(refused([normal], 4)).toMatchObject({ shortage: 'fragmentation', largestFreeOrder: 3 });
    expect(refused([normal], 3).shortage).toBeNull();
  });
  test('may use most of the reserve for an urgent request', () => {
    expect(refused([zone('Normal', 900, 1000, 9)], 0, 0x20).shortage).toBeNull();
    expect(refused([zone('Normal', 100, 1000, 9)], 0, 0x20).shortage).toBe('watermark');
  });
  test('is one that the request can use; without zones it is unknown', () => {
    const zones = [zone('DMA32', 100, 1000, 9), zone('Normal', 9000, 1000, 9)];
    // GFP_DMA32.
    expect(refused(zones, 0, 0x4)).toMatchObject({ shortage: 'watermark', zone: 'DMA32' });
    expect(refused([], 0)).toEqual({});
  });
});
