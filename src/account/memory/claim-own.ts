import { KernelError } from '../../kernel/error.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { PageKind } from '../../walk/memory/page-kinds.js';
import type { DrawerName } from './drawers.js';
import type { FrameLedger } from './frame-ledger.js';

interface Claim {
  readonly drawer: DrawerName;
  readonly frames: Iterable<number>;
  readonly owner?: string;
  /** Kinds of pages that they may be of all the same, and stay where they are. */
  readonly besides?: readonly PageKind[];
  /** Two of the drawer may share a page, as the two halves of one table do. */
  readonly mayShare?: boolean;
}

/**
 * Claims frames that nobody else can have, each once unless told.
 *
 * @throws {KernelError} `damaged` after the last, if others have some; on a live kernel they may by now
 */
export function claimOwn(
  kernel: Kernel,
  ledger: FrameLedger,
  { drawer, frames, owner, besides = [], mayShare = false }: Claim,
): void {
  let others = 0;
  for (const frame of frames) {
    if (ledger.claim(drawer, frame, owner)) continue;
    if (mayShare && ledger.drawerOf(frame) === drawer) continue;
    const kind = ledger.kindOf(frame);
    if (kind === undefined || !besides.includes(kind)) others++;
  }
  if (others === 0 || kernel.facts.live) return;
  const message = `${others} pages of ${owner ?? drawer} are of something else as well`;
  throw new KernelError('damaged', message);
}
