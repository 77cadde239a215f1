import { KernelError, ReadError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { Grouping } from '../census-entry.js';
import { type LedgerRow, rowName } from '../ledger/row.js';
import { accountAll, type CensusAnswer } from '../sockets.js';
import type { CategoryName } from './categories.js';
import type { FrameLedger } from './frame-ledger.js';
import type { Missed } from './missed.js';
import type { QueueFrames } from './queue-frames.js';

/** What is told of the network's memory. */
interface NetworkSinks {
  readonly ledger: FrameLedger;
  readonly queues: QueueFrames;
  readonly missed: Missed;
}

/** What is asked of sockets besides. */
export interface SocketsQuery {
  /** What they are added up by. */
  readonly socketsBy?: Grouping | undefined;
  /** Whether what each holds is to have the address of every slot of a slab. */
  readonly keepsSlots?: boolean | undefined;
}

/**
 * Puts what sockets and the rest of the network hold into categories; the census is asked once.
 *
 * @param progress told now and then which part is done, 0 to 1
 */
export function claimNetwork(
  kernel: Kernel,
  { ledger, queues, missed }: NetworkSinks,
  progress: (part: number) => void,
  { socketsBy, keepsSlots }: SocketsQuery,
): CensusAnswer | undefined {
  let census: CensusAnswer;
  try {
    census = accountAll(kernel, {
      by: socketsBy,
      progress,
      keepsSlots,
      onSocket: (entry, tally) => queues.add(entry, tally),
      onHeld: (by, tally) => {
        const category = by === 'sockets' ? 'network-sockets' : 'network-other';
        for (const { frame, order } of tally.pages()) {
          const owner = by === 'sockets' ? queues.ownerOf(frame) : by.code;
          ledger.claimBlock(category, frame, order ?? 0, owner);
        }
      },
    });
  } catch (error) {
    if (!(error instanceof ReadError || error instanceof KernelError)) throw error;
    missed.add('network-sockets', error);
    missed.add('network-other', error);
    return undefined;
  }
  if (!census.total.complete)
    missed.note('network-sockets', 'not every socket’s queues are known whole', 'unreadable');
  for (const row of census.outsideQueues) noteRow(row, missed);
  return census;
}

/** Rows of what holds no pages of its own: slots in slabs, and what is left. */
const WITHOUT_PAGES: readonly LedgerRow['code'][] = [
  ...(['skbs', 'skb-fclones', 'skb-heads', 'other-pages'] as const),
];

/** What the census does not tell whole of a place where packets lie, its category does not hold whole. */
function noteRow(row: LedgerRow, missed: Missed): void {
  const category: CategoryName = 'network-other';
  if (WITHOUT_PAGES.includes(row.code)) return;
  const name = rowName(row);
  if (row.status === 'not-counted')
    missed.note(category, `${name} is not counted: ${row.reason}`, 'unreadable');
  if (row.status === 'contradicted')
    missed.note(category, `figures of ${name} contradict each other`, 'corrupt');
  if (row.status === 'not-walked') missed.note(category, `${name} is not walked`);
}
