import type { Kernel } from '../../kernel/kernel.js';
import { memoryNodes } from '../pages/memory-nodes.js';
import { StructReader } from '../struct-reader.js';

/** A zone that has memory. Frames and pages are base pages. */
export interface Zone {
  /** Address of its `struct zone`. */
  readonly address: bigint;
  /** Address of the `pglist_data` that it is part of. */
  readonly node: bigint;
  /** Number of that node. */
  readonly nodeId: number;
  /** `DMA`, `DMA32`, `Normal`, `Movable` */
  readonly name: string;
  /** First page frame. */
  readonly start: number;
  readonly spanned: number;
  readonly present: number;
}

/**
 * Zones of all NUMA nodes, in order, but those without memory (include/linux/mmzone.h).
 *
 * @throws {KernelError} `no-symbols`, `unsupported-layout`, `damaged`; {@link ReadError}
 */
export function zones(kernel: Kernel): Zone[] {
  const reader = new StructReader(kernel, 'zone', [
    ...['zone_start_pfn', 'spanned_pages', 'present_pages'],
  ] as const);
  const data = new StructReader(kernel, 'pglist_data', ['node_id']);
  const { node_zones: all } = new StructReader(kernel, 'pglist_data', ['node_zones']).members;
  const names = [...(kernel.enumerators('zone_type') ?? [])];
  return memoryNodes(kernel).flatMap((node) => {
    const nodeId = data.read(node).number('node_id');
    const found: Zone[] = [];
    for (let index = 0; (index + 1) * reader.size <= all.size; index++) {
      const address = node + BigInt(all.offset + index * reader.size);
      const view = reader.read(address);
      const present = view.number('present_pages');
      if (present === 0) continue;
      const known = names.find(([, value]) => Number(value) === index)?.[0];
      const name = known?.replace(/^ZONE_/, '') ?? String(index);
      found.push({
        ...{ address, node, nodeId, present, name: name.length > 3 ? capitalized(name) : name },
        start: view.number('zone_start_pfn'),
        spanned: view.number('spanned_pages'),
      });
    }
    return found;
  });
}

/** ZONE_NORMAL is `Normal` in /proc/zoneinfo, ZONE_DMA32 `DMA32`. */
function capitalized(name: string): string {
  return name.startsWith('DMA') ? name : `${name[0]}${name.slice(1).toLowerCase()}`;
}
