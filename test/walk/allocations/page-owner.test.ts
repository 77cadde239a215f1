import { describe, expect, test } from 'vitest';
import type { Kernel } from '../../../src/kernel/kernel.js';
import { PageOwner, pageOwnerState } from '../../../src/walk/allocations/page-owner.js';
import { type MadeMembers, type MadeStruct, made, madeKernel } from '../../support/made-kernel.js';

/** struct page_owner of each generation (mm/page_owner.c), and the sizes of its page extensions. */
const NAMED = {
  ts_nsec: 16,
  free_ts_nsec: 24,
  comm: [32, 16],
  pid: [48, 4],
  tgid: [52, 4],
} as const;
const OWNERS: Readonly<Record<string, MadeStruct>> = {
  '5.10': owner(16, {}),
  '5.15': owner(40, { ts_nsec: 16, free_ts_nsec: 24, pid: [32, 4] }),
  '6.1': owner(56, NAMED),
  '6.12': owner(64, { ...NAMED, free_pid: [56, 4], free_tgid: [60, 4] }),
};

function owner(size: number, more: MadeMembers): MadeStruct {
  const first = { order: [0, 2], last_migrate_reason: [2, 2], gfp_mask: [4, 4] } as const;
  return { size, members: { ...first, handle: [8, 4], free_handle: [12, 4], ...more } };
}

const AT = { key: 0x40, size: 0x48, ops: 0x80, section: 0x100, extensions: 0x1000 } as const;
const PER_SECTION = 64;
/** The section of frames 64 to 127 alone has extensions; its entries are behind 8 bytes of flags. */
const FIRST = 64;
/** PAGE_EXT_OWNER and PAGE_EXT_OWNER_ALLOCATED. */
const [OWNED, ALLOCATED] = [1, 3];

function memoryOf(entry: MadeStruct, changes: Parameters<typeof madeKernel>[0]['words'] = {}) {
  const size = 8 + entry.size;
  const at = (frame: number) => AT.extensions + (frame - FIRST) * size;
  const hasTime = 'ts_nsec' in entry.members;
  const pid = entry.members.pid;
  const page = (frame: number, flags: number, order: number, handle: number) => ({
    [at(frame)]: [flags, 4] as const,
    [at(frame) + 8]: [order, 2] as const,
    [at(frame) + 16]: [handle, 4] as const,
    ...(hasTime ? { [at(frame) + 24]: 1_500_000_000n } : {}),
    ...(Array.isArray(pid) ? { [at(frame) + 8 + pid[0]]: [7, 4] as const } : {}),
    ...(entry.size >= 56
      ? { [at(frame) + 40]: 0x6873n, [at(frame) + 8 + 52]: [6, 4] as const }
      : {}),
  });
  const kernel = madeKernel({
    structs: {
      page_owner: entry,
      page_ext: { size: 8, members: { flags: 0 } },
      mem_section: { size: 32, members: { section_mem_map: 0, page_ext: 16 } },
      page_ext_operations: { size: 40, members: { offset: 0, size: 8 } },
      static_key: { size: 16, members: { 'enabled.counter': [0, 4] } },
    },
    symbols: { page_owner_inited: AT.key, page_ext_size: AT.size, page_owner_ops: AT.ops },
    enums: { page_ext_flags: { PAGE_EXT_OWNER: 0n, PAGE_EXT_OWNER_ALLOCATED: 1n } },
    words: {
      [AT.key]: [1, 4],
      [AT.size]: BigInt(size),
      [AT.ops]: 8n,
      [AT.section + 32 + 16]: made(AT.extensions) - BigInt(size * FIRST),
      ...page(68, ALLOCATED, 1, 0x77),
      ...page(69, ALLOCATED, 1, 0x77),
      ...page(70, OWNED, 0, 0x88),
      ...page(127, ALLOCATED, 0, 0x99),
      ...changes,
    },
  });
  const sections = {
    frames: PER_SECTION,
    isOnline: () => true,
    addressOf: (frame: number) => made(AT.section + Math.floor(frame / PER_SECTION) * 32),
  };
  return { kernel: { ...kernel, sections } satisfies Kernel, at, size };
}

/** What a scan reports. */
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

  test('lists allocated pages, with what it noted', () => {
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
    // Freed, and never allocated.
    expect([70, 71].map((frame) => new PageOwner(kernel).at(frame))).toEqual([
      undefined,
      undefined,
    ]);
  });

  test('frames without extensions, or with entries that are unreadable or impossible, are counted as lost', () => {
    const { seen, lost } = scanned(kernel, 0, FIRST + 4);
    expect([seen, lost]).toEqual([[], [[64, expect.stringContaining('no page extensions')]]]);
    // The first bit marks a section that goes offline (PAGE_EXT_INVALID).
    const offline = memoryOf(entry, {
      [AT.section + 32 + 16]: made(AT.extensions) - BigInt(size * FIRST) + 1n,
    });
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
    expect(scanned(away.kernel, FIRST, 128)).toMatchObject({
      seen: [],
      lost: [[64, expect.any(String)]],
    });
  });

  test('impossible sizes are refused', () => {
    for (const words of [{ [AT.size]: 8n }, { [AT.size]: 2n ** 40n }, { [AT.ops]: 0x1000n }])
      expect(() => new PageOwner(memoryOf(entry, words).kernel)).toThrow(/page_ext_size is/);
  });
});

test('page_owner that is off, absent or unknown', () => {
  const { kernel } = memoryOf(OWNERS['6.1']!);
  expect(pageOwnerState(kernel)).toBe('on');
  expect(pageOwnerState(memoryOf(OWNERS['6.1']!, { [AT.key]: [0, 4] }).kernel)).toBe('off');
  const bare: Kernel = { ...kernel, struct: () => undefined, symbol: () => undefined };
  expect(pageOwnerState(bare)).toBe('absent');
  // Its types without its symbols say nothing about whether it is on.
  expect(() => pageOwnerState({ ...kernel, symbol: () => undefined })).toThrow(/page_owner_inited/);
  const flags: Kernel = { ...kernel, enumerators: () => new Map([['PAGE_EXT_YOUNG', 0n]]) };
  expect(() => new PageOwner(flags)).toThrow(
    /enum page_ext_flags of this kernel is unsupported; it has PAGE_EXT_YOUNG/,
  );
  const { sections: _, ...flat } = kernel;
  expect(() => new PageOwner(flat)).toThrow(/memory sections/);
});
