import { HostError } from '../../host/error.js';
import type { Follower } from '../follow/follower.js';
import { FrameFollower } from '../follow/frame-follower.js';
import { ObjectFollower } from '../follow/object-follower.js';
import type { Gap, Reading, Recording } from '../recording.js';
import { mergedEvents } from './merged-events.js';
import type { FromOrder } from './order.js';
import { packedLines } from './packed-lines.js';
import { PerfScriptParser } from './perf-script.js';
import { type EventParser, type FrameNumbers, noFrames, type TextEvent } from './text-event.js';
import { TextStacks } from './text-stacks.js';
import { disorderOf, TimeOrder } from './time-order.js';
import { TraceTextParser } from './trace-text.js';

const ALL = { oneIn: 1, mask: 0n, residue: 0n };
const USUAL_WINDOWS = 15;
/** Threads whose names are kept. */
const MOST_THREADS = 100_000;

/** Events that somebody else recorded. @throws {HostError} `unreadable`: none of this type among them */
export async function recordingOfEvents(
  method: 'trace-text' | 'perf-script',
  order: FromOrder,
): Promise<Recording> {
  const { type, paths, maxBlocks, maxSurvivors } = order;
  const windows = order.windows ?? USUAL_WINDOWS;
  if (type === 'vmalloc')
    throw new HostError('unreadable', 'events do not tell areas of vmalloc', {
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
  /** Of all addresses the same; null: of some it is not known, or another. */
  let upper: bigint | null | undefined;
  const read = () => {
    readings.push({
      at: (readings.length * length) / 1e6,
      held: follower.reading(0, stacks.siteOf).held,
    });
  };
  read();
  const streams = paths.map((path) => eventsOf(method, path, stacks.frameOf));
  for await (const events of mergedEvents(streams.map(({ events }) => events)))
    for (const event of events) {
      if (event.kind !== type) continue;
      while (readings.length < windows && event.time > span.first + readings.length * length)
        read();
      if (event.free) follower.freed(event.place, event.length, event.time);
      else {
        upper = upper === undefined || upper === event.upper ? event.upper : null;
        if (commands.size < MOST_THREADS) commands.set(event.tid, event.command);
        const stack = stacks.numberOf(event.stack);
        follower.allocated(event.place, event.length, event.time, event.tid, stack);
      }
    }
  while (readings.length <= windows) read();
  const parsers = streams.map(({ parser }) => parser);
  for (const { lost } of parsers) if (lost !== 0) follower.lost(lost, span.last);
  const told = follower.survivors({
    ...{ max: maxSurvivors, siteOf: stacks.siteOf, began: span.first, upper: upper ?? 0n },
    commandOf: (tid) => commands.get(tid) ?? null,
  });
  return {
    ...{ type, method, readings, sample: ALL, sites: stacks.known.sites },
    // Numbers that stand for addresses pair events, and lead nowhere.
    survivors: upper === null ? [] : told.survivors,
    survivorsLeftOut: upper === null ? null : told.leftOut,
    ...{ losses: follower.losses, unseen: null, endedEarly: false },
    gaps: gapsOf(paths, streams, stacks.known.others),
  };
}

function gapsOf(
  paths: readonly string[],
  streams: readonly Stream[],
  others: number,
): readonly Gap[] {
  const source = paths.join(', ');
  const strange = streams.reduce((sum, { parser }) => sum + parser.strange, 0);
  const cut = streams.filter((stream) => stream.isCut() || stream.parser.isCut).length;
  return [
    { code: 'cut' as const, source, count: cut },
    { code: 'strange' as const, source, count: strange },
    { code: 'order' as const, source, count: disorderOf(streams.map(({ order }) => order)) },
    { code: 'sites' as const, source, count: others },
  ].filter(({ count }) => count > 0);
}

interface Stream {
  readonly parser: EventParser;
  readonly order: TimeOrder;
  /** It ends amid a line. To be asked when it was read. */
  readonly isCut: () => boolean;
  readonly events: AsyncGenerator<TextEvent[]>;
}

function eventsOf(
  method: 'trace-text' | 'perf-script',
  path: string,
  frameOf: FrameNumbers,
): Stream {
  let found: TextEvent[] = [];
  const Parser = method === 'trace-text' ? TraceTextParser : PerfScriptParser;
  const order = new TimeOrder();
  const parser: EventParser = new Parser((event) => {
    order.add(event.time);
    found.push(event);
  }, frameOf);
  let isCut = false;
  const read = async function* () {
    const pieces = packedLines(path, () => {
      isCut = true;
    });
    for await (const lines of pieces) {
      for (const line of lines) parser.line(line);
      yield found;
      found = [];
    }
    parser.end();
    yield found;
  };
  return { parser, order, isCut: () => isCut, events: read() };
}

/** When the first and the last event of a type were, nanoseconds. @throws {HostError} there are none, or no frees */
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
    throw new HostError('unreadable', `${paths.join(', ')}: no events of ${type}s are there`, {
      next:
        other > 0
          ? `Ask for the other type: --type ${type === 'page' ? 'slab' : 'page'}.`
          : 'Record kmem:mm_page_alloc and kmem:mm_page_free, with stacks.',
    });
  // All that was allocated would look held, or nothing would.
  if (frees === 0 || allocations === 0) {
    const [has, lacks] = frees === 0 ? ['allocations', 'frees'] : ['frees', 'allocations'];
    throw new HostError('unreadable', `${paths.join(', ')}: ${has} are there, and no ${lacks}`, {
      next: `Record ${type === 'page' ? 'kmem:mm_page_alloc and kmem:mm_page_free' : 'kmem:kmalloc, kmem_cache_alloc, kfree and kmem_cache_free'}, and give both.`,
    });
  }
  return { first, last };
}
