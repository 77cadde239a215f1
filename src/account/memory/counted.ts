import type { CategoryName } from '../../records/categories.js';
import type { MemoryCounters } from '../../records/machine-sample.js';
import type { Balloon } from '../../records/named-memory.js';
import type { Warning } from '../../walk/warnings.js';
import { type FrameNote, type MemoryAnswer, makeAnswer } from './answer.js';
import { detailsOf, type MachineLists } from './details.js';
import { counterSlack, exactly, freeCounts, type ProcCounter, procCounters, zonesConflict } from './proc-counters.js';
import { type Category, leafTree, makeCategory } from './tree.js';

const NO_COUNTER = 'no counter exists; counted as unattributed';
const AS_FILES = 'counters do not distinguish it from files; counted as page cache';
const AT_BOOT = 'no counter exists; counted as other reserved';

/** Categories in memory that the buddy allocator never received. */
const BOOT: ReadonlySet<CategoryName> = new Set(['image', 'memmap', 'crash-kernel']);

/** Files of one capture count the same memory; more than this share of it is another machine, or another time. */
const FOREIGN = 1 / 20;

/**
 * Memory breakdown by counters, for hosts whose page frames cannot be read. Memory without a counter is
 * unattributed, so that rows sum to the total; if counters overlap, it is too small. Each row has bounds. Counters
 * that are missing from the text make one row of their own: memory of unknown use.
 *
 * @param lists lists of /proc beside counters
 */
export function countedMemory(counted: MemoryCounters, lists?: MachineLists): MemoryAnswer {
  const facts = withoutForeign(counted);
  const { pageSize, hasPageSize } = facts;
  const total = facts.meminfo.get('MemTotal') ?? 0;
  const { known, excess } = fitted(procCounters(facts), total);
  const rows = [...known.values()];
  const sum = (of: (row: ProcCounter) => number) => rows.reduce((all, row) => all + of(row), 0);
  const conflict = zonesConflict(facts);
  const isMissing = rows.some(({ state }) => state === 'missing');
  const isUnsure = rows.some(({ state }) => state === 'unsure');
  const rest = Math.max(0, total - sum(({ bytes }) => bytes));
  const isContradictory = excess > counterSlack(facts) || rows.some((row) => row.isContradictory);
  const leastOfAll = sum(({ least }) => least);
  /** Pages that the kernel does not count remain in the rest; a bound of them is known only for free lists. */
  const mostOfAll = sum(({ most, state }) => (state === 'uncounted' && !Number.isFinite(most) ? 0 : most));
  known.set('unattributed', {
    bytes: isMissing ? 0 : rest,
    least: isContradictory || isUnsure ? 0 : Math.min(rest, Math.max(0, total - mostOfAll)),
    most: Math.max(0, total - leastOfAll),
    state: 'counted',
  });
  if (isMissing) known.set('missing-counters', { bytes: rest, least: 0, most: total - leastOfAll, state: 'missing' });
  const boot = Math.max(0, (facts.present ?? total) - total);
  const outside = balloonOutside(facts, known.get('balloon'), boot);
  const reserved = { bytes: boot - outside.bytes, least: boot - outside.most, most: boot - outside.least };
  known.set('reserved-other', { ...reserved, state: 'counted', ...(outside.why ? { why: outside.why } : {}) });
  if (facts.balloon) known.set('balloon', withOutside(known.get('balloon') ?? exactly(0), outside, facts.balloon));
  const leaf = (category: CategoryName): Category => {
    const counter = known.get(category);
    // Only a source that reads frames has unreadable frames.
    const why = category === 'unread' ? undefined : whyIncomplete(category, counter, known, facts);
    const { bytes, least, state } = counter ?? { bytes: 0, least: 0, state: 'uncounted' };
    // What other rows have at least is not in this one.
    const most = Math.max(bytes, Math.min(counter?.most ?? 0, total + boot - leastOfAll + least));
    return makeCategory({
      category,
      frames: Math.round(bytes / pageSize),
      bytes,
      known: 'counter',
      counterBytes: counter && state === 'counted' ? bytes : null,
      complete: why === undefined,
      why,
      range: counter && { leastBytes: Math.floor(least), mostBytes: Math.ceil(most) },
    });
  };
  return makeAnswer({
    host: { release: facts.release, pageSize, pageSizeKnown: hasPageSize },
    source: 'counters',
    memory: leafTree({ known: 'counter', leaf }),
    freeConflict: conflict ?? null,
    notes: dirtyNotes(facts),
    ...(lists && detailsOf(lists, pageSize)),
    counted: facts.meminfo,
    otherCounters: otherCounters(facts),
    warnings: warningsOf(facts, counted, rows, excess, outside.lacking),
    complete: false,
  });
}

interface Outside extends Pick<ProcCounter, 'bytes' | 'least' | 'most'> {
  readonly why?: string;
  /** How many bytes of a balloon are neither in MemTotal nor in the rest of zones. */
  readonly lacking: number;
}

/**
 * The part of a balloon that is outside of MemTotal: of what zones have in addition.
 *
 * @param inside its part in MemTotal
 * @param boot memory of zones that is outside of MemTotal
 */
function balloonOutside({ balloon }: MemoryCounters, inside: ProcCounter | undefined, boot: number): Outside {
  if (!balloon || !inside) return { bytes: 0, least: 0, most: 0, lacking: 0 };
  const all = balloon.bytes - inside.bytes;
  const bytes = Math.min(boot, all);
  const most = Math.min(boot, Math.max(bytes, balloon.bytes - inside.least));
  const least = Math.min(bytes, Math.max(0, balloon.least - inside.most));
  const why = inside.why && most > least ? { why: inside.why } : {};
  return { bytes, least, most, ...why, lacking: all - bytes };
}

/** The whole balloon, inside and outside of MemTotal. */
function withOutside(inside: ProcCounter, outside: Outside, { least }: Balloon): ProcCounter {
  const bytes = inside.bytes + outside.bytes;
  const lacks =
    outside.lacking > 0 ? { why: `${outside.lacking} bytes of the balloon are in no zone that is known` } : {};
  // Where it is may be unknown; how much it is, is not.
  return { bytes, least: Math.min(bytes, least), most: bytes + outside.lacking, state: inside.state, ...lacks };
}

/** Counters beside /proc/meminfo that rows rest on. */
export function otherCounters({
  balloon,
  zfs,
  unreadCounters,
  compressed,
}: MemoryCounters): NonNullable<MemoryAnswer['otherCounters']> {
  return { ...(balloon && { balloon }), ...(zfs && { zfs }), ...(unreadCounters && { unreadCounters }), compressed };
}

/** Pages of the page cache that are not on disk: reclaim has to wait for them. */
export function dirtyNotes({ meminfo }: MemoryCounters): FrameNote[] {
  return (['dirty', 'writeback'] as const).flatMap((note): FrameNote[] => {
    const bytes = meminfo.get(note === 'dirty' ? 'Dirty' : 'Writeback') ?? 0;
    return bytes === 0 ? [] : [{ note, category: 'page-cache', bytes }];
  });
}

/** Drops the zones of another machine, or of a time with another amount of memory. */
function withoutForeign(counted: MemoryCounters): MemoryCounters {
  const { meminfo, present, managed, zoneFree } = counted;
  const total = meminfo.get('MemTotal') ?? 0;
  const { uninitialized = 0 } = freeCounts(counted) ?? {};
  const isOther =
    managed !== undefined && (managed > total || zoneFree !== undefined)
      ? Math.abs(total - managed - uninitialized) > FOREIGN * total
      : false;
  if (present === undefined || (present >= total && !isOther)) return counted;
  const whyNoZones = `/proc/zoneinfo is not used: zones have ${present} bytes and manage ${managed}, but MemTotal is ${total}`;
  return { ...counted, present: undefined, managed: undefined, zoneFree: undefined, onCpus: undefined, whyNoZones };
}

/**
 * Rows whose sum is at most the total, if their bounds allow it: counters that overlap count the same pages twice.
 *
 * @returns also by how many bytes the lower bounds exceed the total
 */
function fitted(counters: ReadonlyMap<CategoryName, ProcCounter>, total: number) {
  let excess = [...counters.values()].reduce((sum, { bytes }) => sum + bytes, 0) - total;
  const known = new Map(counters);
  for (const [category, row] of counters) {
    const twice = Math.min(Math.max(0, excess), row.bytes - row.least);
    if (twice > 0) known.set(category, { ...row, bytes: row.bytes - twice });
    excess -= twice;
  }
  return { known, excess };
}

/** Lines that a message names. */
const MAX_LINES = 6;

/** Why the use of memory is unknown; undefined: no counter is missing. */
function missingWhy(rows: readonly ProcCounter[]): string | undefined {
  const absent = rows.filter(({ state }) => state === 'missing');
  const lines = [...new Set(absent.flatMap(({ line }) => line ?? []))];
  const more = lines.length - MAX_LINES;
  const lack = `lines of /proc/meminfo are missing: ${lines.slice(0, MAX_LINES).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
  const others = absent.flatMap(({ line, why, isContradictory }) => (line || !why || isContradictory ? [] : [why]));
  const whys = [...(lines.length > 0 ? [lack] : []), ...new Set(others)];
  return whys.length > 0 ? whys.join('; ') : undefined;
}

function warningsOf(
  facts: MemoryCounters,
  counted: MemoryCounters,
  rows: readonly ProcCounter[],
  excess: number,
  lacking: number,
): Warning[] {
  const absent = missingWhy(rows);
  const missing =
    absent === undefined ? [] : [{ code: 'unreadable' as const, message: `memory is incomplete: ${absent}` }];
  const whys = rows.flatMap(({ isContradictory, why }) => (isContradictory && why ? [why] : []));
  if (facts !== counted && facts.whyNoZones) whys.push(facts.whyNoZones);
  if (facts.present !== undefined && lacking > counterSlack(facts))
    whys.push(`the balloon is ${facts.balloon?.bytes} bytes, ${lacking} more than zones have for it`);
  if (excess > counterSlack(facts)) whys.push(`the sum of counters exceeds MemTotal by ${excess} bytes`);
  const wrong = whys.map((why) => ({ code: 'corrupt' as const, message: `/proc counters are inconsistent: ${why}` }));
  return [...missing, ...wrong];
}

function whyIncomplete(
  category: CategoryName,
  counter: ProcCounter | undefined,
  known: ReadonlyMap<CategoryName, ProcCounter>,
  counted: MemoryCounters,
): string | undefined {
  const { managed, whyNoZones, meminfo } = counted;
  if (counter?.why !== undefined) return counter.why;
  const total = meminfo.get('MemTotal');
  if (category === 'secret') return AS_FILES;
  if (category === 'reserved-other') {
    if (whyNoZones !== undefined) return whyNoZones;
    const { uninitialized = 0 } = freeCounts(counted) ?? {};
    if (managed !== undefined && total !== managed + uninitialized)
      return `MemTotal is ${total} bytes, but zones manage ${managed}; other reserved may be wrong by the difference`;
  }
  if (category === 'missing-counters' || category === 'unattributed') {
    const absent = missingWhy([...known.values()]);
    if (absent !== undefined) return category === 'unattributed' ? 'unknown: counters are missing' : absent;
  }
  const { bytes = 0, least = 0, most = 0 } = counter ?? {};
  if (category === 'unattributed' && (least < bytes || most > bytes))
    return 'the remainder of counters, some of which have bounds only';
  if (counter && (least < bytes || most > bytes)) return 'counters overlap, or were read at different times';
  return counter === undefined && category !== 'missing-counters'
    ? BOOT.has(category)
      ? AT_BOOT
      : NO_COUNTER
    : undefined;
}
