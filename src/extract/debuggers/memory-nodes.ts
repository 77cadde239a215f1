import type { NativeKernel } from '../../kernel/native/parts.js';
import { attempt } from '../questions.js';
import { pointerAt } from './pointer.js';

/** More than any machine has. */
const MOST_NODES = 1024;
const MOST_SECTIONS = 1 << 20;

/** The nodes of memory with their zones, by which crash knows how much there is. */
export function readNodes(kernel: NativeKernel): void {
  const size = kernel.struct('pglist_data')?.size ?? 0;
  const zone = kernel.struct('zone');
  const zones = kernel.struct('pglist_data')?.member('node_zones');
  const name = zone?.member('name');
  const table = kernel.symbol('node_data');
  const nodes: bigint[] = [kernel.symbol('contig_page_data') ?? 0n];
  for (let node = 0; table !== undefined && node < MOST_NODES; node++) {
    const address = pointerAt(kernel, table + BigInt(node * 8));
    if (address === 0n || kernel.physicalOf(address) === undefined) break;
    nodes.push(address);
  }
  for (const node of nodes.filter((address) => address !== 0n)) {
    attempt(() => kernel.read(node, size));
    for (let index = 0; zone && zones && name && index < (zones.count ?? 0); index++) {
      const at = node + BigInt(zones.offset + index * zone.size + name.offset);
      attempt(() => kernel.read(pointerAt(kernel, at), LONGEST_ZONE_NAME));
    }
  }
}

/** `Movable`, with its NUL. */
const LONGEST_ZONE_NAME = 8;

/** The sections of memory that have a memory map (linux/mmzone.h): a table of tables of them. */
export function readSections(kernel: NativeKernel): void {
  const { vmcoreinfo } = kernel;
  const size = kernel.struct('mem_section')?.size ?? 0;
  const roots = vmcoreinfo.length('mem_section') ?? 0;
  // SYMBOL(mem_section) is the variable's value.
  const table = vmcoreinfo.symbol('mem_section');
  if (table === undefined || size === 0 || roots === 0 || roots > MOST_SECTIONS) return;
  const view = kernel.read(table, roots * 8);
  for (let root = 0; root < roots; root++) {
    const sections = view.getBigUint64(root * 8, true);
    const length = Math.floor(kernel.facts.pageSize / size) * size;
    if (sections !== 0n) attempt(() => kernel.read(sections, length));
  }
}
