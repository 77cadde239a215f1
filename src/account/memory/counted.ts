import { KernelError } from '../../base/errors/kernel.js';
import type { MemoryCounters } from '../../records/memory-counters.js';
import type { MemoryAnswer } from './answer.js';
import type { CategoryName } from './categories.js';
import type { Category } from './category.js';
import { detailsOf, type MachineLists } from './details.js';
import { conflictWhy, DEPENDS_ON_FREE, zonesConflict } from './free-conflict.js';
import { leafTree } from './leaf-tree.js';
import { freeCounts, type ProcCounter, procCounters } from './proc-counters.js';

const NO_COUNTER = 'no counter exists; counted as unattributed';
const AS_FILES = 'counters do not distinguish it from files; counted as page cache';
const AT_BOOT = 'no counter exists; counted as other reserved';

/** Categories that lie in memory that the buddy allocator never got. */
const BOOT: ReadonlySet<CategoryName> = new Set(['image', 'memmap', 'crash-kernel']);

/**
 * Where the memory is as far as counters tell, for who cannot look at page frames. What no counter tells
 * of is the rest, so the rows sum to the whole here too; but where counters overlap, it is too small.
 *
 * @param lists what lists of /proc tell besides
 * @throws {KernelError} `damaged` if the counters add up to more than there is
 */
export function countedMemory(counted: MemoryCounters, lists?: MachineLists): MemoryAnswer {
  const { pageSize } = counted;
  const known = procCounters(counted);
  const conflict = zonesConflict(counted);
  for (const [category, counter] of known) {
    if (!('bytes' in counter) || counter.bytes >= 0) continue;
    const message = `/proc counters are inconsistent: ${counter.bytes} bytes remain for ${category}`;
    throw new KernelError('damaged', message);
  }
  // What the buddy allocator got; zones say the same, but for guests whose memory was changed.
  const total = counted.meminfo.get('MemTotal') ?? counted.managed ?? 0;
  const boot = (counted.present ?? total) - total;
  if (boot < 0) {
    const message = `/proc counters are inconsistent: MemTotal is ${total} bytes, zones have ${counted.present}`;
    throw new KernelError('damaged', message);
  }
  const rest = total - [...known.values()].reduce((all, one) => all + bytesOf(one), 0);
  if (rest < 0) {
    const message = `/proc counters are inconsistent: their sum exceeds RAM by ${-rest} bytes`;
    throw new KernelError('damaged', message);
  }
  const leaf = (category: CategoryName): Category => {
    const counter =
      category === 'reserved-other'
        ? { bytes: boot }
        : category === 'unattributed'
          ? { bytes: rest }
          : known.get(category);
    // Frames that cannot be read are for who reads frames.
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
