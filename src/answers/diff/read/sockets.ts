import { z } from 'zod';
import type { Flaw, Item, Listing } from '../../../diff/state.js';
import { leavesComplete } from '../../../walk/warnings.js';
import {
  bytesOrNull,
  contradiction,
  count,
  incompleteness,
  kernelPart,
  listOf,
  originPart,
  type ParsedState,
  warningsPart,
} from './parts.js';

const pinned = z.object({ pageBytes: count, slabBytes: count, pinnedBytes: count });

export const socketsAnswer = z.object({
  schema: z.literal('kdump-mem.sockets/1'),
  kernel: kernelPart,
  origin: originPart,
  sockets: listOf(
    z.object({
      socket: z.object({
        sock: z.string(),
        inode: count.nullable(),
        netns: count.nullable(),
        family: z.string(),
        protocol: z.string(),
        local: z.string().nullable(),
        peer: z.string().nullable(),
      }),
      holders: listOf(z.object({ pid: count, comm: z.string(), fd: count })),
      total: pinned,
      exclusiveBytes: count,
      sharedBytes: count,
      unreadBytes: bytesOrNull,
    }),
  ),
  omitted: count,
  allListed: z.boolean(),
  totals: z.object({ sockets: count, complete: z.boolean(), ...pinned.shape }),
  warnings: warningsPart,
});
type SocketsPart = z.infer<typeof socketsAnswer>;
type SocketPart = SocketsPart['sockets'][number];

/** Parses an answer to `sockets`: the counted pages that sockets pin. */
export function socketsState(answer: SocketsPart): ParsedState {
  const { kernel, origin, sockets, totals, warnings } = answer;
  const { items, twice } = itemsOf(sockets);
  return {
    origin,
    release: kernel?.release ?? null,
    pageSize: kernel?.pageSize ?? null,
    memory: null,
    lists: { sockets: { items, ...wholeness(answer, twice) } },
    flaws: [
      ...incompleteness(totals.complete && warnings.every(leavesComplete), warnings, 'not everything was counted'),
      ...(sockets.every(isSound) && isSum(totals)
        ? []
        : [contradiction('memory pinned by a socket is not the sum of its pages and slots')]),
      ...twiceWords(twice),
    ],
  };
}

/**
 * Whether all sockets are listed. Without `--all`, sockets that pin nothing are omitted; `--limit` and other
 * options omit more.
 */
function wholeness({ sockets, totals, omitted, allListed }: SocketsPart, twice: number): Omit<Listing, 'items'> {
  if (twice > 0) return { whole: false };
  if (sockets.length === totals.sockets) return { whole: true };
  // Shared memory counts for each socket, but only once in the total.
  const sum = sockets.reduce((all, { total }) => all + total.pinnedBytes, 0);
  const isListed = allListed && omitted === 0 && sum >= totals.pinnedBytes;
  return { whole: isListed, withoutEmpty: true };
}

function itemsOf(sockets: readonly SocketPart[]): { items: Map<string, Item>; twice: number } {
  const items = new Map<string, Item>();
  let twice = 0;
  for (const { socket, holders, total, unreadBytes } of sockets) {
    const { sock, inode, netns, family, protocol, local, peer } = socket;
    const [holder] = holders;
    const key = socketKey(socket, sock, local, peer);
    if (items.has(key)) twice++;
    items.set(key, {
      who: { kind: 'socket', inode, netns, family, protocol, local, peer, holder: holder ?? null },
      sizes: { pinned: total.pinnedBytes, unread: unreadBytes },
      ofBoot: true,
      began: null,
    });
  }
  return { items, twice };
}

/**
 * Returns the key of a socket. Its inode is unique on the machine and reused only after 4 billion others; its
 * addresses change when it connects. An MPTCP socket has the same inode as its subflows.
 *
 * @param otherwise key of a socket without an inode
 */
export function socketKey(
  { inode, protocol }: { readonly inode: number | null; readonly protocol: string },
  ...otherwise: readonly (string | null)[]
): string {
  const own = inode === null || inode === 0 ? otherwise : [inode];
  return JSON.stringify([protocol.toLowerCase(), ...own]);
}

export function twiceWords(twice: number): Flaw[] {
  return twice === 0 ? [] : [contradiction('duplicate socket')];
}

function isSound({ total, exclusiveBytes, sharedBytes }: SocketPart): boolean {
  return isSum(total) && exclusiveBytes + sharedBytes === total.pinnedBytes;
}

function isSum({ pageBytes, slabBytes, pinnedBytes }: z.infer<typeof pinned>): boolean {
  return pageBytes + slabBytes === pinnedBytes;
}
