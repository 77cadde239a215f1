import { damaged, KernelError, ReadError } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { incompleteness, type Warning } from '../warnings.js';
import { memoryNodes } from './vm-counters.js';

/** End of memory according to several sources: page frame numbers, exclusive. */
export interface MemoryEnd {
  /** The highest end of all sources: there is no memory beyond it. */
  readonly frame: number;
  /** The lowest end: up to here the sources agree. 0 if there is only one. */
  readonly agreed: number;
  /** Contradictory or unreadable facts. */
  readonly faults: readonly Warning[];
}

/**
 * Maximum number of page frames: physical addresses have 52 bits, and at least 12 of them are within a page.
 */
const MAX_FRAMES = 2 ** 40;

/**
 * Returns the end of page frames: `max_pfn`, compared with the span of zones, or, if the dump lacks zones,
 * with the dump's memory.
 *
 * `max_pfn` may be after the last zone (removed memory; firmware), but never before it. A ZONE_DEVICE may
 * span addresses without RAM, at the end of the address space.
 *
 * @throws {KernelError} `no-symbols` without max_pfn; `damaged` or {@link ReadError} if the end of memory is
 * unknown
 */
export function memoryEnd(kernel: Kernel): MemoryEnd {
  const symbol = kernel.symbol('max_pfn');
  if (symbol === undefined) {
    throw new KernelError('no-symbols', 'the symbol max_pfn is missing: slabs cannot be scanned');
  }
  const faults: Warning[] = [];
  const corrupt = (message: string) => faults.push({ code: 'corrupt', message });
  const ends: number[] = [];
  let last: number | undefined;
  let unread: unknown;
  try {
    last = Number(pointerPartOf(kernel, 'max_pfn', symbol, symbol));
    if (last > 0 && last <= MAX_FRAMES) ends.push(last);
    else corrupt(`max_pfn is ${last}`);
  } catch (error) {
    unread = error;
    faults.push({ code: incompleteness(error), message: (error as Error).message });
  }
  let spanned: number | undefined;
  try {
    spanned = zonesEnd(kernel);
  } catch (error) {
    if (!(error instanceof KernelError || error instanceof ReadError)) throw error;
    // Without zones, there is one source less to compare with.
    if (error.code === 'damaged' && error instanceof KernelError) corrupt(error.message);
  }
  const other = spanned ?? kernel.memoryEnd?.();
  if (other !== undefined && other <= MAX_FRAMES) {
    ends.push(other);
    if (last !== undefined && last > 0 && last < other) {
      const what = spanned === undefined ? 'the dump has memory' : 'zones of memory reach';
      corrupt(`max_pfn is ${last}, and ${what} up to page frame ${other}`);
    }
  }
  if (ends.length === 0) throw unread ?? damaged('the end of memory is unknown');
  return { frame: Math.max(...ends), agreed: ends.length > 1 ? Math.min(...ends) : 0, faults };
}

/**
 * The end of the last zone with memory (include/linux/mmzone.h).
 *
 * @throws {ReadError}; {@link KernelError} `unsupported-layout`, `no-symbols`, or `damaged`: a zone has more
 * pages than it spans, or no node has any
 */
function zonesEnd(kernel: Kernel): number {
  const zone = new StructReader(kernel, 'zone', ['zone_start_pfn', 'spanned_pages', 'present_pages']);
  const { node_zones: zones } = new StructReader(kernel, 'pglist_data', ['node_zones']).members;
  const devices = Number(kernel.enumerators('zone_type')?.get('ZONE_DEVICE') ?? -1);
  let end = 0;
  for (const node of memoryNodes(kernel)) {
    for (let index = 0; (index + 1) * zone.size <= zones.size; index++) {
      if (index === devices) continue;
      const at = node + BigInt(zones.offset + index * zone.size);
      const view = zone.read(at);
      const [start, spanned, present] = [
        view.number('zone_start_pfn'),
        view.number('spanned_pages'),
        view.number('present_pages'),
      ];
      if (present > spanned || start + spanned > MAX_FRAMES) {
        const message = `zone ${index} of the node at ${hex(node)} has ${present} pages in ${spanned} from page frame ${start} on`;
        throw damaged(message);
      }
      if (spanned > 0) end = Math.max(end, start + spanned);
    }
  }
  if (end === 0) throw damaged('no node has a zone with memory');
  return end;
}
