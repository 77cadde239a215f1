import { damaged } from '../../base/errors.js';
import type { MemoryCounters } from '../../records/machine-sample.js';
import type { MemoryAnswer } from './answer.js';
import type { CategoryName } from './categories.js';
import { detailsOf, type MachineLists } from './details.js';
import {
  conflictWhy,
  DEPENDS_ON_FREE,
  freeCounts,
  type ProcCounter,
  procCounters,
  zonesConflict,
} from './proc-counters.js';
import { type Category, leafTree } from './tree.js';

const NO_COUNTER = 'no counter exists; counted as unattributed';
const AS_FILES = 'counters do not distinguish it from files; counted as page cache';
const AT_BOOT = 'no counter exists; counted as other reserved';

/** Categories in memory that the buddy allocator never received. */
const BOOT: ReadonlySet<CategoryName> = new Set(['image', 'memmap', 'crash-kernel']);

/**
 * Memory breakdown by counters, for hosts whose page frames cannot be read. Memory without a counter is
 * unattributed, so that rows sum to the total; if counters overlap, it is too small.
 *
 * @param lists lists of /proc beside counters
 * @throws {KernelError} `damaged` if the counters exceed RAM
 */
export function countedMemory(counted: MemoryCounters, lists?: MachineLists): MemoryAnswer {
  const { pageSize } = counted;
  const known = procCounters(counted);
  const conflict = zonesConflict(counted);
  for (const [category, counter] of known) {
    if (!('bytes' in counter) || counter.bytes >= 0) continue;
    throw damaged(`/proc counters are inconsistent: ${counter.bytes} bytes remain for ${category}`);
  }
  // Memory of the buddy allocator; zones agree, except for guests whose memory was resized.
  const total = counted.meminfo.get('MemTotal') ?? counted.managed ?? 0;
  const boot = (counted.present ?? total) - total;
  if (boot < 0) {
    const message = `/proc counters are inconsistent: MemTotal is ${total} bytes, zones have ${counted.present}`;
    throw damaged(message);
  }
  const rest = total - [...known.values()].reduce((all, one) => all + bytesOf(one), 0);
  if (rest < 0) {
    throw damaged(`/proc counters are inconsistent: their sum exceeds RAM by ${-rest} bytes`);
  }
  const leaf = (category: CategoryName): Category => {
    const counter =
      category === 'reserved-other'
        ? { bytes: boot }
        : category === 'unattributed'
          ? { bytes: rest }
          : known.get(category);
    // Only a source that reads frames has unreadable frames.
    const why =
      category === 'unread'
        ? undefined
        : (whyIncomplete(category, counter, known, counted) ??
          (conflict && DEPENDS_ON_FREE.has(category) ? conflictWhy(conflict) : undefined));
    const bytes = bytesOf(counter);
    return {
      category,
      frames: Math.round(bytes / pageSize),
      bytes,
      known: 'counter',
      counterBytes: counter && 'bytes' in counter ? bytes : null,
      owners: [],
      children: [],
      complete: why === undefined,
      ...(why === undefined ? {} : { why }),
      elsewhere: [],
    };
  };
  return {
    kernel: undefined,
    host: { release: counted.release, pageSize },
    source: 'counters',
    memory: leafTree({ known: 'counter', leaf }),
    ...(conflict ? { freeConflict: conflict } : {}),
    loose: undefined,
    census: undefined,
    queues: [],
    drift: 0,
    ...(lists ? detailsOf(lists, pageSize) : { caches: [], callers: [], zones: [] }),
    counted: counted.meminfo,
    warnings: conflict ? [{ code: 'corrupt', message: conflictWhy(conflict) }] : [],
    complete: false,
  };
}

function bytesOf(counter: ProcCounter | undefined): number {
  return counter && 'bytes' in counter ? counter.bytes : 0;
}

function whyIncomplete(
  category: CategoryName,
  counter: ProcCounter | undefined,
  known: ReadonlyMap<CategoryName, ProcCounter>,
  counted: MemoryCounters,
): string | undefined {
  const { managed, whyNoZones, meminfo } = counted;
  if (counter && 'why' in counter) return counter.why;
  const swapped = bytesOf(known.get('swap-cache')) > 0;
  if (swapped && (category === 'anonymous' || category === 'swap-cache'))
    return 'mapped pages in the swap cache are counted twice';
  const total = meminfo.get('MemTotal');
  if (category === 'secret') return AS_FILES;
  if (category === 'reserved-other' && whyNoZones !== undefined) return whyNoZones;
  const { uninitialized = 0 } = freeCounts(counted) ?? {};
  if (category === 'reserved-other' && total !== (managed ?? 0) + uninitialized)
    return `MemTotal is ${total} bytes, but zones manage ${managed}; other reserved may be wrong by the difference`;
  if (category === 'unattributed' && [...known.values()].some((one) => 'why' in one))
    return 'includes memory of unreadable counters';
  return counter === undefined ? (BOOT.has(category) ? AT_BOOT : NO_COUNTER) : undefined;
}
