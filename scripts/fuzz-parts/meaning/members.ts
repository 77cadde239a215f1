import type { Kernel } from '../../../src/kernel/kernel.js';
import type { MemberLayout, StructLayout } from '../../../src/kernel/layout.js';

/**
 * The path of the member of a struct at an offset, or undefined: of overlaid ones the first that a
 * preference names, else the smallest.
 */
export function memberAt(
  kernel: Kernel,
  layout: StructLayout,
  offset: number,
  preferred: readonly string[] = [],
): string | undefined {
  const holds = (member: MemberLayout | undefined): member is MemberLayout =>
    member !== undefined && member.offset <= offset && (member.count === 0 || offset < member.offset + member.size);
  const known = preferred.find((path) => layout.member(path)?.offset === offset);
  if (known !== undefined) return known;
  let best: { name: string; member: MemberLayout } | undefined;
  for (const name of layout.members) {
    const member = layout.member(name);
    if (holds(member) && (!best || member.size < best.member.size)) best = { name, member };
  }
  if (!best) return undefined;
  const { name, member } = best;
  if (member.pointer || member.count !== undefined || member.type === '') return name;
  const inner = kernel.struct(member.type);
  const rest = inner && memberAt(kernel, inner, offset - member.offset);
  return rest === undefined ? name : `${name}.${rest}`;
}

/** Members of overlaid parts of struct page, by the names under which walkers read them. */
const PAGE_MEMBERS: readonly string[] = [
  'flags',
  'compound_head',
  'compound_info',
  'mapping',
  '_refcount',
  'page_type',
  'pp_magic',
];
const SLAB_MEMBERS: readonly string[] = ['slab_cache', 'counters', 'freelist'];

/** What lies at an offset of a struct page. */
export function pageMemberAt(kernel: Kernel, page: StructLayout, offset: number): string {
  const name = PAGE_MEMBERS.find((path) => page.member(path)?.offset === offset);
  if (name !== undefined) return `page.${name}`;
  const slab = kernel.struct('slab') ?? page;
  const inSlab = SLAB_MEMBERS.find((path) => slab.member(path)?.offset === offset);
  if (inSlab !== undefined) return `slab.${inSlab}`;
  if (offset >= page.size) return 'folio._flags_1';
  const other = memberAt(kernel, slab, offset) ?? memberAt(kernel, page, offset);
  return `slab.${other ?? `+${offset}`}`;
}
