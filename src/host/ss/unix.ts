import type { SocketRecord } from '../socket.js';
import { parseSkmem, SKMEM } from './skmem.js';
import { socketState } from './state.js';

/**
 * The rows of `ss -H -O -n -e -m -x -a`.
 *
 * A unix socket's name is up to 108 bytes of anything, spaces and newlines included, and ss prints
 * it raw. So a record ends where its `skmem:(…) <->` ends a line, not at any newline, and names are
 * split from inodes by checking that both ends name each other. A name can still pretend to be a
 * row: rows that claim an inode which another row claims too are all refused.
 */
export function parseUnixRows(text: string): {
  readonly sockets: SocketRecord[];
  /** Lines that could not be read as (part of) a row. */
  readonly unreadable: number;
  /** Rows refused because two of them claim one inode. */
  readonly contested: number;
} {
  const { rows, unreadable: lost } = splitRows(text);
  let unreadable = lost;
  const splits = rows.map(possibleSplits);
  const peers = new Map<number, Set<number>>();
  for (const split of splits.flat()) {
    const known = peers.get(split.inode);
    if (known) known.add(split.peerInode);
    else peers.set(split.inode, new Set([split.peerInode]));
  }
  const byInode = new Map<number, SocketRecord[]>();
  rows.forEach((row, index) => {
    const options = splits[index] ?? [];
    const split =
      options.find((each) => each.peerInode !== 0 && peers.get(each.peerInode)?.has(each.inode)) ??
      options[0];
    const skmem = parseSkmem(row.tail);
    if (!split || !skmem) {
      unreadable++;
      return;
    }
    const socket: SocketRecord = {
      family: 'AF_UNIX',
      type: TYPES[row.netid] ?? 'SOCK_STREAM',
      protocol: 'UNIX',
      state: socketState(row.state),
      local: split.local,
      peer: split.peer,
      inode: split.inode,
      peerInode: split.peerInode,
      cookie: '',
      recvQ: row.recvQ,
      sendQ: row.sendQ,
      cgroup: null,
      skmem,
      tcp: null,
    };
    const claims = byInode.get(socket.inode);
    if (claims) claims.push(socket);
    else byInode.set(socket.inode, [socket]);
  });
  const sockets: SocketRecord[] = [];
  let contested = 0;
  for (const [inode, claims] of byInode) {
    // A row with inode 0 is a connection that nobody has accepted: there may be many.
    if (claims.length === 1 || inode === 0) sockets.push(...claims);
    else contested += claims.length;
  }
  return { sockets, unreadable, contested };
}

const TYPES: Record<string, SocketRecord['type']> = {
  u_str: 'SOCK_STREAM',
  u_dgr: 'SOCK_DGRAM',
  u_seq: 'SOCK_SEQPACKET',
};

interface Row {
  readonly netid: string;
  readonly state: string;
  readonly recvQ: number;
  readonly sendQ: number;
  /** The names and inodes between the queues and skmem. */
  readonly names: string;
  readonly tail: string;
}

const START = /^(u_str|u_dgr|u_seq) +([A-Z0-9-]+) +(\d{1,15}) +(\d{1,15}) +/;
const END = new RegExp(
  `${SKMEM.source} (?:<->|-->|<--|---)(?: ino:\\d+ dev:\\d+/\\d+)?(?: peers:[ \\d]*)? *$`,
);
/** A name of 108 bytes cannot hold more newlines than that; ss prints two names in a row. */
const MAX_LINES_OF_A_ROW = 217;

function splitRows(text: string): { rows: Row[]; unreadable: number } {
  const rows: Row[] = [];
  let unreadable = 0;
  let open = '';
  let lines = 0;
  for (const line of text.split('\n')) {
    if (lines === 0) {
      if (line === '') continue;
      if (!START.test(line)) {
        unreadable++;
        continue;
      }
      open = line;
    } else open += `\n${line}`;
    lines++;
    const end = END.exec(open);
    if (end) {
      const start = START.exec(open);
      if (start && start[0].length <= end.index)
        rows.push({
          netid: start[1] ?? '',
          state: start[2] ?? '',
          recvQ: Number(start[3]),
          sendQ: Number(start[4]),
          names: open.slice(start[0].length, end.index).trimEnd(),
          tail: open.slice(end.index),
        });
      else unreadable++;
      lines = 0;
    } else if (lines >= MAX_LINES_OF_A_ROW) {
      unreadable += lines;
      lines = 0;
    }
  }
  return { rows, unreadable: unreadable + lines };
}

interface Split {
  readonly local: string;
  readonly inode: number;
  readonly peer: string;
  readonly peerInode: number;
}

/** All ways to read `NAME INODE PEERNAME INODE`: one, unless a name has a number in its middle. */
function possibleSplits(row: Row): Split[] {
  const last = /^(.*) +(\d{1,15})$/s.exec(row.names);
  if (!last) return [];
  const peerInode = Number(last[2]);
  const front = last[1] ?? '';
  const splits: Split[] = [];
  for (const found of front.matchAll(/ (\d{1,15}) +(?=\S)/g)) {
    const local = front.slice(0, found.index).trimEnd();
    const peer = front.slice(found.index + found[0].length).trimEnd();
    if (local !== '') splits.push({ local, inode: Number(found[1]), peer, peerInode });
  }
  // Where nothing else decides: an end without a name is `*`, so the other one has the number.
  return splits.sort((a, b) => rank(a) - rank(b));
}

function rank(split: Split): number {
  return Number(split.local !== '*') + Number(split.peer !== '*');
}
