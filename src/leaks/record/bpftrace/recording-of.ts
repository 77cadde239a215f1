import { readFileSync } from 'node:fs';
import { TraceError } from '../../../base/errors.js';
import type { KernelSymbols } from '../../../host/proc/kallsyms.js';
import { FrameFollower } from '../../follow/frame-follower.js';
import type { Gap, Held, Losses, Reading, Recording } from '../../recording.js';
import { NO_STACK, OTHER_STACK, StackSites, StackTable } from '../../site-frames.js';
import { ALL } from '../tracefs/kinds.js';
import type { BpftraceOutput, CountName, HeldPiece, PageCounts, Shown } from './output.js';
import { OTHER_STACKS_ID } from './program.js';

/** Facts beside the program's output. */
export interface RecordedBeside {
  readonly frameBytes: number;
  readonly maxBlocks: number;
  readonly maxSurvivors: number;
  readonly symbols: KernelSymbols | null;
  readonly commandOf: (tid: number) => string | null;
  /** From /proc/vmstat, between `begun` and `ended`; null if unknown. */
  readonly pages: PageCounts | null;
  /** Events for which the kernel did not run the program; null if it does not count them. */
  readonly missedRuns: number | null;
  /** Number of requested windows, without the last. */
  readonly windows: number;
  readonly endedEarly: boolean;
  /** Only some allocations are followed. */
  readonly isChosen: boolean;
}

const NS_PER_MS = 1e6;

/** Makes a recording from the complete output of the program. */
export function recordingOf(output: BpftraceOutput, beside: RecordedBeside): Recording {
  const { frameBytes, pages, isChosen } = beside;
  const began = output.begunAt ?? 0;
  const stacks = new StackTable();
  const numbers = new Map<number, number>();
  for (const [id, addresses] of output.stacks)
    numbers.set(id, addresses.length === 0 ? NO_STACK : stacks.numberOf(addresses));
  // A stack number without a printed stack is ignored.
  const stackOf = (id: number) => (id === OTHER_STACKS_ID ? OTHER_STACK : (numbers.get(id) ?? NO_STACK));
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
    survivors: survivors.map((survivor) => ({ ...survivor, since: Math.max(0, survivor.since ?? 0) })),
    survivorsLeftOut: leftOut,
    losses: lossesOf(output, beside, follower.losses),
    unseen: pages === null || isChosen ? null : { allocated: pages.allocated, traced, low: traced, high: traced },
    ...(pages === null ? {} : { unseenFrees: Math.max(0, pages.freed - count('y')) }),
    gaps: gapsOf(output, beside, stacks.others),
    endedEarly: beside.endedEarly,
    tracing: {
      share: null,
      budget: null,
      events: count('a') + count('f'),
      offeredPerSecond: ended > 0 ? ((count('a') + count('f')) * 1000) / ended : null,
      lateEvents: 0,
      orphansRemoved: [],
      leftBehind: [],
      settingsChanged: [],
      unmatchedEvents: null,
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
      // The value was printed while it changed.
      const bytes = Math.max(0, sum);
      return [site, { bytes, blocks: null, lowBytes: bytes, highBytes: bytes, sampled: null }];
    }),
  );
}

function lossesOf(output: BpftraceOutput, beside: RecordedBeside, followed: Losses): Losses {
  const count = (name: CountName) => output.counts.get(name) ?? 0;
  return {
    overrun: beside.missedRuns === null ? null : beside.missedRuns + output.lost + framesThatDoNotAddUp(output),
    unknownFrees: beside.isChosen ? null : count('u'),
    missedFrees: count('m') + (followed.missedFrees ?? 0),
    withoutStack: followed.withoutStack,
    dropped: count('d') + (followed.dropped ?? 0),
  };
}

/**
 * Compares two separate sums: allocations of a stack less its frees must equal its blocks. A full map or a
 * lost line appears here.
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
    ...(symbols === null ? [{ code: 'unreadable' as const, source: '/proc/kallsyms', count: 1 }] : []),
  ];
}

/** An allocation that is partly or completely held: its pieces in order of their frames. */
interface Allocated {
  readonly start: number;
  readonly frames: number;
  readonly time: number;
  readonly tid: number;
  readonly id: number;
  readonly pieces: HeldPiece[];
}

/**
 * Passes held allocations to a follower in the order in which they happened, without their freed parts. If
 * two contain the same frame, the follower counts a missed free.
 *
 * @param stackOf number of a stack by the program's number
 */
function followHeld(
  pieces: readonly HeldPiece[],
  follower: Pick<FrameFollower, 'allocated' | 'freed'>,
  stackOf: (id: number) => number,
): void {
  const all = allocationsOf(pieces).sort((allocation, other) => allocation.time - other.time);
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

/** The remainder of a block is several pieces with the same stack, time and thread, within its frames. */
function allocationsOf(pieces: readonly HeldPiece[]): Allocated[] {
  const byStart = new Map<number, Allocated[]>();
  for (const piece of [...pieces].sort((piece, other) => piece.frame - other.frame)) {
    const frames = 2 ** piece.allocatedOrder;
    const start = piece.frame - (piece.frame % frames);
    const { time, tid, id } = piece;
    const there = byStart.get(start) ?? [];
    byStart.set(start, there);
    const known = there.find(
      (allocated) =>
        allocated.id === id && allocated.time === time && allocated.tid === tid && allocated.frames === frames,
    );
    if (known) known.pieces.push(piece);
    else there.push({ start, frames, time, tid, id, pieces: [piece] });
  }
  return [...byStart.values()].flat();
}

/** Maximum kernel memory of the program's maps, in bytes, and as a share of available memory. */
const MAX_BYTES = 256 * 2 ** 20;
const MAX_SHARE = 1 / 8;

/**
 * Kernel memory per map entry. All maps have the same number of entries, and memory for all of them is
 * allocated at start: blocks, stacks and their CPUs, numbers by CPU, each with about 64 bytes of overhead,
 * and sums, which have a value for each possible CPU.
 */
const BYTES_EACH = 400;
const BYTES_EACH_CPU = 16;

/** With fewer entries nothing useful can be followed. */
const LEAST = 16_384;

/**
 * Maximum number of blocks, and of stacks, that the kernel can follow. @throws {TraceError}
 * `trace-unsupported`
 */
export function mapKeys(most: number, available = availableBytes(), cpus = possibleCpus()): number {
  const bytes = Math.min(MAX_BYTES, (available ?? 0) * MAX_SHARE);
  const keys = Math.min(most, Math.floor(bytes / (BYTES_EACH + BYTES_EACH_CPU * cpus)));
  if (keys < LEAST)
    throw new TraceError('bpftrace-failed', 'not enough memory for the BPF maps of bpftrace', {
      next: 'Remove --engine bpftrace: tracefs needs less memory.',
    });
  return keys;
}

/** Null if unknown. */
function availableBytes(): number | null {
  const kilobytes = /^MemAvailable: +(\d{1,15}) kB$/m.exec(textOf('/proc/meminfo'))?.[1];
  return kilobytes === undefined ? null : Number(kilobytes) * 1024;
}

/** Possible CPUs, including those that could be hot-plugged: `0-3`, `0,2-5`. */
function possibleCpus(): number {
  const last = /(\d{1,6})\s*$/.exec(textOf('/sys/devices/system/cpu/possible'))?.[1];
  return last === undefined ? 8192 : Number(last) + 1;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
