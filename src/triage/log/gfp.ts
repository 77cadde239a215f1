/** Flags whose bits are the same in all kernels since 2.6.32 (include/linux/gfp.h, gfp_types.h). */
const COMMON = {
  __GFP_DMA: 0x1,
  __GFP_HIGHMEM: 0x2,
  __GFP_DMA32: 0x4,
  __GFP_MOVABLE: 0x8,
  __GFP_HIGH: 0x20,
  __GFP_IO: 0x40,
  __GFP_FS: 0x80,
};

/** Other flags of kernels before 4.5, which print no names. */
const UNTIL_4_4 = {
  __GFP_COLD: 0x100,
  __GFP_NOWARN: 0x200,
  __GFP_REPEAT: 0x400,
  __GFP_NOFAIL: 0x800,
  __GFP_NORETRY: 0x1000,
  __GFP_MEMALLOC: 0x2000,
  __GFP_COMP: 0x4000,
  __GFP_ZERO: 0x8000,
  __GFP_NOMEMALLOC: 0x10000,
  __GFP_HARDWALL: 0x20000,
  __GFP_THISNODE: 0x40000,
  __GFP_WRITE: 0x1000000,
};

/** Flags of 4.4, which split `__GFP_WAIT`. */
const OF_4_4 = {
  __GFP_RECLAIMABLE: 0x10,
  __GFP_ATOMIC: 0x80000,
  __GFP_NOACCOUNT: 0x100000,
  __GFP_NOTRACK: 0x200000,
  __GFP_DIRECT_RECLAIM: 0x400000,
  __GFP_OTHER_NODE: 0x800000,
  __GFP_KSWAPD_RECLAIM: 0x2000000,
};
const UNTIL_4_3 = {
  __GFP_WAIT: 0x10,
  __GFP_RECLAIMABLE: 0x80000,
  __GFP_NOTRACK: 0x200000,
  __GFP_NO_KSWAPD: 0x400000,
  __GFP_OTHER_NODE: 0x800000,
};

/** Names for combinations of flags, the longest first. */
const GROUPS: readonly (readonly [string, readonly string[]])[] = [
  ['GFP_HIGHUSER_MOVABLE', ['IO', 'FS', 'HARDWALL', 'HIGHMEM', 'MOVABLE']],
  ['GFP_HIGHUSER', ['IO', 'FS', 'HARDWALL', 'HIGHMEM']],
  ['GFP_USER', ['IO', 'FS', 'HARDWALL']],
  ['GFP_KERNEL', ['IO', 'FS']],
  ['GFP_NOFS', ['IO']],
];

/** Flag names for a kernel that prints only the mask (before 4.5); bits without a name stay a number. */
export function gfpNames(mask: number): string {
  const bits: Record<string, number> = {
    ...COMMON,
    ...UNTIL_4_4,
    // No kernel before 4.4 has this bit.
    ...(mask & OF_4_4.__GFP_KSWAPD_RECLAIM ? OF_4_4 : UNTIL_4_3),
  };
  const reclaim = Object.keys(bits).filter((name) => /(?:WAIT|_RECLAIM)$/.test(name));
  const bitsOf = (names: readonly string[]) => names.reduce((all, name) => all | (bits[name] ?? 0), 0);
  const group = GROUPS.map(([name, flags]) => ({
    name,
    bits: bitsOf([...reclaim, ...flags.map((flag) => `__GFP_${flag}`)]),
  })).find((flag) => (mask & flag.bits) === flag.bits);
  const rest = mask & ~(group?.bits ?? 0);
  const names = Object.keys(bits).filter((name) => rest & (bits[name] ?? 0));
  const unknown = rest & ~bitsOf(names);
  return [...(group ? [group.name] : []), ...names, ...(unknown === 0 ? [] : [`0x${unknown.toString(16)}`])].join('|');
}
