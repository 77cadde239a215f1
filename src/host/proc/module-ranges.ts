/** Where modules are loaded: addresses in the kernel, the end not included. By name. */
export type ModuleRanges = ReadonlyMap<string, { readonly from: bigint; readonly to: bigint }>;

/** `name bytes users … state address (flags)` (m_show of kernel/module/procfs.c). */
const LINE =
  /^(?<name>\S{1,64}) (?<bytes>\d{1,12}) -?\d{1,10} \S+ \w+ 0x(?<address>[0-9a-f]{1,16})(?: \(\w+\))?$/;

/** Out of /proc/modules. Modules whose address the kernel hides (kernel.kptr_restrict) are left out. */
export function moduleRanges(text: string): ModuleRanges {
  const ranges = new Map<string, { from: bigint; to: bigint }>();
  for (const line of text.split('\n')) {
    const { name, bytes, address } = LINE.exec(line)?.groups ?? {};
    const from = BigInt(`0x${address ?? '0'}`);
    if (name !== undefined && from !== 0n)
      ranges.set(name, { from, to: from + BigInt(bytes ?? 0) });
  }
  return ranges;
}
