import { KernelError, ReadError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { incompleteness } from '../incompleteness.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import type { Warning } from '../warnings.js';
import { memoryNodes } from './memory-nodes.js';

/** Where memory ends, as far as those who tell of it agree: numbers of page frames, exclusive. */
export interface MemoryEnd {
  /** The furthest that any of them says: nothing is beyond. */
  readonly frame: number;
  /** The nearest: up to here they agree. 0 where there is but one. */
  readonly agreed: number;
  /** What of it cannot be true, or cannot be read. */
  readonly faults: readonly Warning[];
}

/** Physical addresses have 52 bits, and pages 12 at least. */
const MOST_FRAMES = 2 ** 40;

/**
 * Where the page frames end: `max_pfn`, held against what the zones span, or, where a dump has not
 * those, against the memory that it holds.
 *
 * `max_pfn` may lie behind the last zone (memory that was taken out again; firmware's), never before
 * it. A zone of devices (ZONE_DEVICE) may span what is no RAM, at the end of all addresses.
 *
 * @throws {KernelError} `no-symbols` if the kernel doesn't name its last frame; `damaged` or
 *   {@link ReadError} if nothing tells where memory ends
 */
export function memoryEnd(kernel: Kernel): MemoryEnd {
  const symbol = kernel.symbol('max_pfn');
  if (symbol === undefined) {
    throw new KernelError('no-symbols', 'the symbol max_pfn is missing: slabs cannot be scanned');
  }
  const faults: Warning[] = [];
  const damaged = (message: string) => faults.push({ code: 'corrupt', message });
  const ends: number[] = [];
  let last: number | undefined;
  let unread: unknown;
  try {
    last = Number(pointerPartOf(kernel, 'max_pfn', symbol, symbol));
    if (last > 0 && last <= MOST_FRAMES) ends.push(last);
    else damaged(`max_pfn is ${last}`);
  } catch (error) {
    unread = error;
    faults.push({ code: incompleteness(error), message: (error as Error).message });
  }
  let spanned: number | undefined;
  try {
    spanned = zonesEnd(kernel);
  } catch (error) {
    if (!(error instanceof KernelError || error instanceof ReadError)) throw error;
    // Without its zones, one witness less is heard.
    if (error.code === 'damaged' && error instanceof KernelError) damaged(error.message);
  }
  const other = spanned ?? kernel.memoryEnd?.();
  if (other !== undefined && other <= MOST_FRAMES) {
    ends.push(other);
    if (last !== undefined && last > 0 && last < other) {
      const what = spanned === undefined ? 'the dump has memory' : 'zones of memory reach';
      damaged(`max_pfn is ${last}, and ${what} up to page frame ${other}`);
    }
  }
  if (ends.length === 0) throw unread ?? new KernelError('damaged', 'the end of memory is unknown');
  return {
    frame: Math.max(...ends),
    agreed: ends.length > 1 ? Math.min(...ends) : 0,
    faults,
  };
}

/**
 * The end of the last zone that has memory (include/linux/mmzone.h).
 *
 * @throws {ReadError}; {@link KernelError} `unsupported-layout`, `no-symbols`, or `damaged`: a zone
 *   has more pages than it spans, or no node has any
 */
function zonesEnd(kernel: Kernel): number {
  const zone = new StructReader(kernel, 'zone', [
    'zone_start_pfn',
    'spanned_pages',
    'present_pages',
  ]);
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
      if (present > spanned || start + spanned > MOST_FRAMES) {
        const message = `zone ${index} of the node at ${hex(node)} has ${present} pages in ${spanned} from page frame ${start} on`;
        throw new KernelError('damaged', message);
      }
      if (spanned > 0) end = Math.max(end, start + spanned);
    }
  }
  if (end === 0) throw new KernelError('damaged', 'no node has a zone with memory');
  return end;
}
