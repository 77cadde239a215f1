import type { FrameFollower } from '../../leaks/follow/frame-follower.js';
import type { HeldPiece } from './output.js';

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
export function followHeld(
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
