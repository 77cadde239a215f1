import type { KernelSymbols } from '../../../host/proc/kallsyms.js';
import { FrameFollower } from '../../follow/frame-follower.js';
import { NO_STACK, OTHER_STACK, StackTable } from '../../follow/stack-table.js';
import type { Gap, Held, Losses, Reading, Recording } from '../../recording.js';
import { StackSites } from '../../stack-sites.js';
import { ALL } from '../tracefs/sample.js';
import type { BpftraceOutput, CountName, HeldPiece, Shown } from './output.js';
import type { PageCounts } from './page-counters.js';
import { OTHER_STACKS_ID } from './program.js';

/** What is known besides what the program printed. */
export interface RecordedBeside {
  readonly frameBytes: number;
  readonly maxBlocks: number;
  readonly maxSurvivors: number;
  readonly symbols: KernelSymbols | null;
  readonly commandOf: (tid: number) => string | null;
  /** By /proc/vmstat, from `begun` to `ended`; null: not known. */
  readonly pages: PageCounts | null;
  /** Events that the kernel did not run the program for; null: it does not count them. */
  readonly missedRuns: number | null;
  /** Windows that were asked for, but for the last. */
  readonly windows: number;
  readonly endedEarly: boolean;
  /** Only some allocations are followed. */
  readonly isChosen: boolean;
}

const NS_PER_MS = 1e6;

/** Makes a recording of what the program printed to its end. */
export function recordingOf(output: BpftraceOutput, beside: RecordedBeside): Recording {
  const { frameBytes, pages, isChosen } = beside;
  const began = output.begunAt ?? 0;
  const stacks = new StackTable();
  const numbers = new Map<number, number>();
  for (const [id, addresses] of output.stacks)
    numbers.set(id, addresses.length === 0 ? NO_STACK : stacks.numberOf(addresses));
  // A number of which no stack was told is none of ours.
  const stackOf = (id: number) =>
    id === OTHER_STACKS_ID ? OTHER_STACK : (numbers.get(id) ?? NO_STACK);
  const sites = new StackSites(stacks, beside.symbols);
  const follower = new FrameFollower(ALL, { maxBlocks: beside.maxBlocks, frameBytes });
  followHeld(output.pieces, follower, stackOf);
  const ended = ((output.endedAt ?? began) - began) / NS_PER_MS;
  const bytesOf = (blocks: ReadonlyMap<number, number>) =>
    new Map([...blocks].map(([order, count]) => [order, count * 2 ** order * frameBytes]));
  const reading = ({ at, frames, unmatched }: Shown): Reading => ({
    at: (at - began) / NS_PER_MS,
    held: heldBySite(frames, (id) => sites.of(stackOf(id)), frameBytes),
    unmatched: bytesOf(unmatched),
  });
  const { survivors, leftOut } = follower.survivors({
    max: beside.maxSurvivors,
    siteOf: sites.of,
    began,
    upper: 0n,
    commandOf: beside.commandOf,
  });
  const count = (name: CountName) => output.counts.get(name) ?? 0;
  const traced = count('x');
  return {
    type: 'page',
    method: 'bpftrace',
    sample: ALL,
    sites: sites.sites,
    readings: [
      { at: 0, held: new Map(), unmatched: new Map() },
      ...output.windows.map(reading),
      { ...follower.reading(ended, sites.of), unmatched: bytesOf(output.unmatched) },
    ],
    survivors: survivors.map((one) => ({ ...one, since: Math.max(0, one.since ?? 0) })),
    survivorsLeftOut: leftOut,
    losses: lossesOf(output, beside, follower.losses),
    unseen:
      pages === null || isChosen
        ? null
        : { allocated: pages.allocated, traced, low: traced, high: traced },
    ...(pages === null ? {} : { unseenFrees: Math.max(0, pages.freed - count('y')) }),
    gaps: gapsOf(output, beside, stacks.others),
    endedEarly: beside.endedEarly,
    tracing: {
      orphans: [],
      left: [],
      late: 0,
      changed: [],
      unmatched: null,
      cost: {
        share: null,
        budget: null,
        events: count('a') + count('f'),
        offeredPerSecond: ended > 0 ? ((count('a') + count('f')) * 1000) / ended : null,
      },
    },
  };
}

function heldBySite(
  frames: ReadonlyMap<number, number>,
  siteOf: (id: number) => string,
  frameBytes: number,
): Map<string, Held> {
  const sums = new Map<string, number>();
  for (const [id, held] of frames) {
    const site = siteOf(id);
    sums.set(site, (sums.get(site) ?? 0) + held * frameBytes);
  }
  return new Map(
    [...sums].map(([site, sum]) => {
      // It was printed while it changed.
      const bytes = Math.max(0, sum);
      return [site, { bytes, blocks: null, low: bytes, high: bytes, sampled: null }];
    }),
  );
}

function lossesOf(output: BpftraceOutput, beside: RecordedBeside, followed: Losses): Losses {
  const count = (name: CountName) => output.counts.get(name) ?? 0;
  return {
    overrun:
      beside.missedRuns === null
        ? null
        : beside.missedRuns + output.lost + framesThatDoNotAddUp(output),
    unknownFrees: beside.isChosen ? null : count('u'),
    missedFrees: count('m') + (followed.missedFrees ?? 0),
    withoutStack: followed.withoutStack,
    dropped: count('d') + (followed.dropped ?? 0),
  };
}

/**
 * Sums of stacks and blocks are counted apart: what a stack took less what was given back of it is what its blocks
 * are. A map that was full, or a line that was lost, shows here.
 */
export function framesThatDoNotAddUp({ held, pieces }: BpftraceOutput): number {
  const left = new Map(held);
  for (const { id, order } of pieces) left.set(id, (left.get(id) ?? 0) - 2 ** order);
  return [...left.values()].reduce((sum, frames) => sum + Math.abs(frames), 0);
}

function gapsOf(
  { windows, strange, held }: BpftraceOutput,
  { windows: asked, endedEarly, symbols }: RecordedBeside,
  otherStacks: number,
): Gap[] {
  const source = 'bpftrace';
  const others = otherStacks + (held.get(OTHER_STACKS_ID) ?? 0);
  const missing = endedEarly ? 0 : asked - windows.length;
  return [
    ...(missing > 0 ? [{ code: 'truncated' as const, source, count: missing }] : []),
    ...(strange > 0 ? [{ code: 'malformed' as const, source, count: strange }] : []),
    ...(others > 0 ? [{ code: 'sites' as const, source, count: others }] : []),
    ...(symbols === null
      ? [{ code: 'unreadable' as const, source: '/proc/kallsyms', count: 1 }]
      : []),
  ];
}

/** An allocation of which something is held: its pieces in order of their frames. */
interface Allocated {
  readonly start: number;
  readonly frames: number;
  readonly time: number;
  readonly tid: number;
  readonly id: number;
  readonly pieces: HeldPiece[];
}

/**
 * Tells a follower of what is held, allocation by allocation in the order in which they happened, each without what
 * was freed of it. Where two lie on one frame the follower counts that a free was missed.
 *
 * @param stackOf number of a stack, by that of the program
 */
function followHeld(
  pieces: readonly HeldPiece[],
  follower: Pick<FrameFollower, 'allocated' | 'freed'>,
  stackOf: (id: number) => number,
): void {
  const all = allocationsOf(pieces).sort((one, other) => one.time - other.time);
  for (const { start, frames, time, tid, id, pieces: held } of all) {
    follower.allocated(start, frames, time, tid, stackOf(id));
    let at = start;
    for (const { frame, order } of held) {
      if (frame > at) follower.freed(at, frame - at);
      at = frame + 2 ** order;
    }
    if (at < start + frames) follower.freed(at, start + frames - at);
  }
}

/** What is left of a block is several pieces: of one stack, one moment, one thread, and within its frames. */
function allocationsOf(pieces: readonly HeldPiece[]): Allocated[] {
  const byStart = new Map<number, Allocated[]>();
  for (const piece of [...pieces].sort((one, other) => one.frame - other.frame)) {
    const frames = 2 ** piece.allocatedOrder;
    const start = piece.frame - (piece.frame % frames);
    const { time, tid, id } = piece;
    const there = byStart.get(start) ?? [];
    byStart.set(start, there);
    const known = there.find(
      (one) => one.id === id && one.time === time && one.tid === tid && one.frames === frames,
    );
    if (known) known.pieces.push(piece);
    else there.push({ start, frames, time, tid, id, pieces: [piece] });
  }
  return [...byStart.values()].flat();
}
