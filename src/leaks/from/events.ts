import { HostError } from '../../base/errors.js';
import type { Follower } from '../follow/follower.js';
import { FrameFollower } from '../follow/frame-follower.js';
import { ObjectFollower } from '../follow/object-follower.js';
import { KnownSites } from '../readings/tally.js';
import type { Gap, Reading, Recording } from '../recording.js';
import { NO_STACK } from '../site-frames.js';
import { packedLines } from './packed-lines.js';
import { PerfScriptParser, TraceTextParser } from './parsers.js';
import { type EventParser, type FrameNumbers, type FromOrder, noFrames, type TextEvent } from './text-event.js';

const ALL = { oneIn: 1, mask: 0n, residue: 0n };
const USUAL_WINDOWS = 15;
/** Maximum number of thread names. */
const MAX_THREADS = 100_000;

/**
 * Reads events that another program recorded. @throws {HostError} `unreadable`: none of this type among them
 */
export async function recordingOfEvents(method: 'trace-text' | 'perf-script', order: FromOrder): Promise<Recording> {
  const { type, paths, maxBlocks, maxSurvivors } = order;
  const windows = order.windows ?? USUAL_WINDOWS;
  if (type === 'vmalloc')
    throw new HostError('unreadable', 'vmalloc areas have no trace events', {
      next: 'Give copies of /proc/vmallocinfo.',
    });
  const span = await spanOf(method, order);
  const follower: Follower =
    type === 'page'
      ? new FrameFollower(ALL, { maxBlocks, frameBytes: order.pageSize })
      : new ObjectFollower(ALL, { maxBlocks });
  const stacks = new TextStacks();
  const commands = new Map<number, string>();
  const readings: Reading[] = [];
  const length = (span.last - span.first) / windows;
  /** The same for all addresses; null if some are unknown or differ. */
  let upper: bigint | null | undefined;
  const read = () => {
    readings.push({ at: (readings.length * length) / 1e6, held: follower.reading(0, stacks.siteOf).held });
  };
  read();
  const streams = paths.map((path) => eventsOf(method, path, stacks.frameOf));
  for await (const events of mergedEvents(streams.map(({ events }) => events)))
    for (const event of events) {
      if (event.kind !== type) continue;
      while (readings.length < windows && event.time > span.first + readings.length * length) read();
      if (event.free) follower.freed(event.place, event.length, event.time);
      else {
        upper = upper === undefined || upper === event.upper ? event.upper : null;
        if (commands.size < MAX_THREADS) commands.set(event.tid, event.command);
        const stack = stacks.numberOf(event.stack);
        follower.allocated(event.place, event.length, event.time, event.tid, stack);
      }
    }
  while (readings.length <= windows) read();
  const parsers = streams.map(({ parser }) => parser);
  for (const { lost } of parsers) if (lost !== 0) follower.lost(lost, span.last);
  const listed = follower.survivors({
    max: maxSurvivors,
    siteOf: stacks.siteOf,
    began: span.first,
    upper: upper ?? 0n,
    commandOf: (tid) => commands.get(tid) ?? null,
  });
  return {
    type,
    method,
    readings,
    sample: ALL,
    sites: stacks.known.sites,
    // Numbers printed instead of addresses pair events, but cannot be looked up.
    survivors: upper === null ? [] : listed.survivors,
    survivorsLeftOut: upper === null ? null : listed.leftOut,
    losses: follower.losses,
    unseen: null,
    endedEarly: false,
    gaps: gapsOf(paths, streams, stacks.known.others),
  };
}

function gapsOf(paths: readonly string[], streams: readonly Stream[], others: number): readonly Gap[] {
  const source = paths.join(', ');
  const strange = streams.reduce((sum, { parser }) => sum + parser.strange, 0);
  const cut = streams.filter((stream) => stream.isCut() || stream.parser.isCut).length;
  return [
    { code: 'truncated' as const, source, count: cut },
    { code: 'malformed' as const, source, count: strange },
    { code: 'order' as const, source, count: disorderOf(streams.map(({ order }) => order)) },
    { code: 'sites' as const, source, count: others },
  ].filter(({ count }) => count > 0);
}

interface Stream {
  readonly parser: EventParser;
  readonly order: TimeOrder;
  /** Whether the file ends within a line. Known only after reading it. */
  readonly isCut: () => boolean;
  readonly events: AsyncGenerator<TextEvent[]>;
}

function eventsOf(method: 'trace-text' | 'perf-script', path: string, frameOf: FrameNumbers): Stream {
  let events: TextEvent[] = [];
  const Parser = method === 'trace-text' ? TraceTextParser : PerfScriptParser;
  const order = new TimeOrder();
  const parser: EventParser = new Parser((event) => {
    order.add(event.time);
    events.push(event);
  }, frameOf);
  let isCut = false;
  const read = async function* () {
    const pieces = packedLines(path, () => {
      isCut = true;
    });
    for await (const lines of pieces) {
      for (const line of lines) parser.line(line);
      yield events;
      events = [];
    }
    parser.end();
    yield events;
  };
  return { parser, order, isCut: () => isCut, events: read() };
}

/**
 * Time of the first and last event of a type, nanoseconds. @throws {HostError} there are none, or no frees
 */
async function spanOf(
  method: 'trace-text' | 'perf-script',
  { type, paths }: FromOrder,
): Promise<{ first: number; last: number }> {
  let [first, last] = [Number.POSITIVE_INFINITY, 0];
  let [other, frees, allocations] = [0, 0, 0];
  for (const path of paths)
    for await (const events of eventsOf(method, path, noFrames).events)
      for (const event of events) {
        if (event.kind !== type) {
          other++;
          continue;
        }
        if (event.free) frees++;
        else allocations++;
        first = Math.min(first, event.time);
        last = Math.max(last, event.time);
      }
  if (first > last)
    throw new HostError('unreadable', `${paths.join(', ')}: contains no ${type} events`, {
      next:
        other > 0
          ? `Use --type ${type === 'page' ? 'slab' : 'page'}.`
          : 'Record kmem:mm_page_alloc and kmem:mm_page_free, with stacks.',
    });
  // Without frees all allocations would look held; without allocations none.
  if (frees === 0 || allocations === 0) {
    const [has, lacks] = frees === 0 ? ['allocations', 'frees'] : ['frees', 'allocations'];
    throw new HostError('unreadable', `${paths.join(', ')}: contains ${has}, but no ${lacks}`, {
      next: `Record ${type === 'page' ? 'kmem:mm_page_alloc and kmem:mm_page_free' : 'kmem:kmalloc, kmem_cache_alloc, kfree and kmem_cache_free'}, and give both files.`,
    });
  }
  return { first, last };
}

/** Numbers stacks in text. Stacks that differ only beyond an interruption are one site. */
class TextStacks {
  readonly known = new KnownSites();
  readonly #ids: string[] = [];
  readonly #byId = new Map<string, number>();

  readonly siteOf = (stack: number): string =>
    stack === NO_STACK ? this.known.idOfFrames([]) : (this.#ids[stack] ?? '');

  readonly frameOf: FrameNumbers = (line, read) => this.known.numberOf(line, read);

  /** @param frames innermost first, numbered by {@link frameOf}; empty: {@link NO_STACK} */
  numberOf(frames: readonly number[]): number {
    if (frames.length === 0) return NO_STACK;
    const entry = frames.findIndex((frame) => this.known.isEntry(frame));
    const id = this.known.idOfFrames(entry < 0 ? frames : frames.slice(0, entry + 1));
    const known = this.#byId.get(id);
    if (known !== undefined) return known;
    const number = this.#ids.push(id) - 1;
    this.#byId.set(id, number);
    return number;
  }
}

/**
 * Maximum delay of an event: per-CPU buffers are printed one after another, and an interrupted event is
 * printed late, but not later than this.
 */
const MAX_LATE_NS = 1e9;

/** Times of events of one file, in the order of the file. */
class TimeOrder {
  first = Number.POSITIVE_INFINITY;
  last = Number.NEGATIVE_INFINITY;
  /** Events that are earlier than a previous one: of another recording, or one of the two is damaged. */
  back = 0;

  /** @param time nanoseconds */
  add(time: number): void {
    if (time < this.last - MAX_LATE_NS) this.back++;
    this.first = Math.min(this.first, time);
    this.last = Math.max(this.last, time);
  }
}

/**
 * Events that go back in time, and files that begin after all previous ones ended: frees in between are
 * unknown.
 */
function disorderOf(files: readonly TimeOrder[]): number {
  let [gaps, until] = [0, Number.POSITIVE_INFINITY];
  const used = files.filter(({ last }) => last >= 0);
  for (const { first, last } of used.toSorted((order, other) => order.first - other.first)) {
    if (first > until + MAX_LATE_NS) gaps++;
    until = Math.max(last, until === Number.POSITIVE_INFINITY ? last : until);
  }
  return gaps + used.reduce((sum, { back }) => sum + back, 0);
}

/** Merges the events of several files by time. Each file is in order. */
async function* mergedEvents<T extends { readonly time: number }>(
  streams: readonly AsyncGenerator<T[]>[],
): AsyncGenerator<T[]> {
  const [only] = streams;
  if (only && streams.length === 1) {
    yield* only;
    return;
  }
  const heads = streams.map((stream) => ({ stream, events: [] as T[], at: 0, ended: false }));
  for (;;) {
    for (const head of heads)
      while (!head.ended && head.at >= head.events.length) {
        const next = await head.stream.next();
        head.ended = next.done === true;
        head.events = next.done ? [] : next.value;
        head.at = 0;
      }
    const open = heads.filter((head) => !head.ended);
    if (open.length === 0) return;
    const merged: T[] = [];
    // Until one of the files must be read further.
    while (open.every((head) => head.at < head.events.length)) {
      let first: (typeof open)[number] | undefined;
      let least = Number.POSITIVE_INFINITY;
      for (const head of open) {
        const time = head.events[head.at]?.time ?? 0;
        if (first && time >= least) continue;
        first = head;
        least = time;
      }
      const event = first?.events[first.at];
      if (!first || !event) break;
      merged.push(event);
      first.at++;
    }
    yield merged;
  }
}
