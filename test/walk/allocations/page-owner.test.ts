import { describe, expect, test } from 'vitest';
import type { Kernel } from '../../../src/kernel/kernel.js';
import { PageOwner, pageOwnerState } from '../../../src/walk/allocations/page-owner.js';
import { made } from '../../support/made-kernel.js';
import { AT, FIRST, memoryOf, OWNERS, PER_SECTION } from './owners.js';

/** Collects the results of a scan. */
function scanned(kernel: Kernel, start: number, end: number) {
  const seen: [frame: number, handle: number, order: number][] = [];
  const lost: [count: number, why: string][] = [];
  new PageOwner(kernel).scan(start, end, {
    allocated: (...page) => seen.push(page),
    lost: (count, error) => lost.push([count, error.message]),
  });
  return { seen, lost };
}

describe.each(Object.entries(OWNERS))('page_owner of %s', (_, entry) => {
  const { kernel, at, size } = memoryOf(entry);

  test('lists allocated pages with their recorded owner', () => {
    expect(scanned(kernel, FIRST, FIRST + PER_SECTION)).toEqual({
      seen: [
        [68, 0x77, 1],
        [69, 0x77, 1],
        [127, 0x99, 0],
      ],
      lost: [],
    });
    const found = new PageOwner(kernel).at(68);
    expect(found).toEqual({
      order: 1,
      handle: 0x77,
      time: 'ts_nsec' in entry.members ? 1.5e9 : null,
      pid: 'pid' in entry.members ? 7 : null,
      tgid: 'tgid' in entry.members ? 6 : null,
      comm: 'comm' in entry.members ? 'sh' : null,
    });
    // Freed pages, and pages that were never allocated.
    expect([70, 71].map((frame) => new PageOwner(kernel).at(frame))).toEqual([undefined, undefined]);
  });

  test('counts frames without extensions, and with unreadable or impossible entries, as lost', () => {
    const { seen, lost } = scanned(kernel, 0, FIRST + 4);
    expect([seen, lost]).toEqual([[], [[64, expect.stringContaining('no page extensions')]]]);
    // The first bit marks a section that is going offline (PAGE_EXT_INVALID).
    const offline = memoryOf(entry, { [AT.section + 32 + 16]: made(AT.extensions) - BigInt(size * FIRST) + 1n });
    expect(scanned(offline.kernel, FIRST, 128).lost).toEqual([[64, expect.anything()]]);
    const odd = memoryOf(entry, { [at(68) + 8]: [60, 2] });
    expect(scanned(odd.kernel, FIRST, 128)).toMatchObject({
      seen: [
        [69, 0x77, 1],
        [127, 0x99, 0],
      ],
      lost: [[1, expect.stringContaining('order 60')]],
    });
    const away = memoryOf(entry, { [AT.section + 32 + 16]: made(0x1000_0000) });
    expect(scanned(away.kernel, FIRST, 128)).toMatchObject({ seen: [], lost: [[64, expect.any(String)]] });
  });

  test('refuses impossible sizes', () => {
    for (const words of [{ [AT.size]: 8n }, { [AT.size]: 2n ** 40n }, { [AT.ops]: 0x1000n }])
      expect(() => new PageOwner(memoryOf(entry, words).kernel)).toThrow(/page_ext_size is/);
  });
});

test('reports page_owner as on, off, absent or unknown', () => {
  const { kernel } = memoryOf(OWNERS['6.1']!);
  expect(pageOwnerState(kernel)).toBe('on');
  expect(pageOwnerState(memoryOf(OWNERS['6.1']!, { [AT.key]: [0, 4] }).kernel)).toBe('off');
  const bare: Kernel = { ...kernel, struct: () => undefined, symbol: () => undefined };
  expect(pageOwnerState(bare)).toBe('absent');
  // Types without symbols do not show whether page_owner is on.
  expect(() => pageOwnerState({ ...kernel, symbol: () => undefined })).toThrow(/page_owner_inited/);
  const flags: Kernel = { ...kernel, enumerators: () => new Map([['PAGE_EXT_YOUNG', 0n]]) };
  expect(() => new PageOwner(flags)).toThrow(
    /enum page_ext_flags of this kernel is unsupported; it has PAGE_EXT_YOUNG/,
  );
  const { sections: _, ...flat } = kernel;
  expect(() => new PageOwner(flat)).toThrow(/memory sections/);
});
