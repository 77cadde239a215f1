import type { Kernel } from '../../../src/kernel/kernel.js';
import { type MadeMembers, type MadeStruct, made, madeKernel } from '../../support/made-kernel.js';

type Made = Parameters<typeof madeKernel>[0];

/** struct page_owner of each generation (mm/page_owner.c), and the sizes of its page extensions. */
const NAMED = { ts_nsec: 16, free_ts_nsec: 24, comm: [32, 16], pid: [48, 4], tgid: [52, 4] } as const;
export const OWNERS: Readonly<Record<string, MadeStruct>> = {
  '5.10': owner(16, {}),
  '5.15': owner(40, { ts_nsec: 16, free_ts_nsec: 24, pid: [32, 4] }),
  '6.1': owner(56, NAMED),
  '6.12': owner(64, { ...NAMED, free_pid: [56, 4], free_tgid: [60, 4] }),
};

function owner(size: number, more: MadeMembers): MadeStruct {
  const first = { order: [0, 2], last_migrate_reason: [2, 2], gfp_mask: [4, 4] } as const;
  return { size, members: { ...first, handle: [8, 4], free_handle: [12, 4], ...more } };
}

export const AT = { key: 0x600, size: 0x608, ops: 0x640, section: 0x700, extensions: 0x1000 } as const;
export const PER_SECTION = 64;
/** Only the section of frames 64 to 127 has extensions; its entries start after 8 bytes of flags. */
export const FIRST = 64;
/** PAGE_EXT_OWNER and PAGE_EXT_OWNER_ALLOCATED. */
const [OWNED, ALLOCATED] = [1, 3];

export function memoryOf(
  entry: MadeStruct,
  changes: Made['words'] = {},
  more: Pick<Made, 'structs' | 'symbols'> = { structs: {} },
) {
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
    ...(entry.size >= 56 ? { [at(frame) + 40]: 0x6873n, [at(frame) + 8 + 52]: [6, 4] as const } : {}),
  });
  const kernel = madeKernel({
    structs: {
      ...more.structs,
      page_owner: entry,
      page_ext: { size: 8, members: { flags: 0 } },
      mem_section: { size: 32, members: { section_mem_map: 0, page_ext: 16 } },
      page_ext_operations: { size: 40, members: { offset: 0, size: 8 } },
      static_key: { size: 16, members: { 'enabled.counter': [0, 4] } },
    },
    symbols: { ...more.symbols, page_owner_inited: AT.key, page_ext_size: AT.size, page_owner_ops: AT.ops },
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
