import { endOfForm, isHeading, LineCutter, numbersOfForm, skipSpaces } from '../lines.js';
import type { SocketRecord } from '../socket.js';
import { parseSkmem, Room, SKMEM, socketState } from './inet.js';

/**
 * Reads the rows of `ss -H -O -n -e -m -x -a` as they arrive, and keeps sockets with data in a queue
 * and those that wait to be accepted.
 *
 * A unix socket's name is up to 108 arbitrary bytes, including spaces and newlines, and ss prints it
 * raw. So a record ends where its `skmem:(…) <->` ends a line, not at any newline, and names are split
 * from inodes by checking that both ends refer to each other. A name can still imitate a row: if
 * several rows claim an inode, all of them are rejected.
 */
export class UnixScan {
  /** For all rows: inode → the number of rows that claim it. */
  readonly #claims = new Map<number, number>();
  /** Rows that are kept, or that are ambiguous. */
  readonly #rows: { readonly row: Row; readonly splits: readonly Split[] }[] = [];
  /** Peer inodes of each interpretation of each row, by inode. */
  readonly #peers = new Map<number, number | Set<number>>();
  #unreadable = 0;
  #leftOut = 0;
  #seen = 0;
  #open = '';
  #openLines = 0;
  readonly #lines = new LineCutter((bytes, from, to) => {
    if (!this.#isIdle(bytes, from, to)) this.#line(bytes.toString('utf8', from, to));
  });

  constructor(
    readonly netns: number | null,
    readonly room: Room = new Room(),
    /** Receives the inode of every socket, including idle ones. */
    readonly inodes?: Set<number>,
  ) {}

  push(bytes: Buffer): void {
    this.#lines.push(bytes);
  }

  /** Returns the result after all input. */
  end(): UnixRows {
    this.#lines.end();
    if (this.#openLines > 0) this.#unreadable += this.#openLines;
    const sockets: SocketRecord[] = [];
    const idle: SocketRecord[] = [];
    for (const { row, splits } of this.#rows) {
      const split =
        splits.length === 1
          ? splits[0]
          : (splits.find((split) => split.peerInode !== 0 && this.#refers(split.peerInode, split.inode)) ??
            // Only a connection that is not accepted has no inode; a name can imitate that.
            splits.find(({ inode }) => inode !== 0) ??
            splits[0]);
      if (!split) continue;
      if (splits.length > 1) this.#claim(split.inode);
      const socket = record(row, split, this.netns);
      if (!socket) this.#unreadable++;
      else if (isIdle(row)) idle.push(socket);
      else this.#keep(sockets, socket);
    }
    const waiting = new Set(sockets.flatMap((socket) => socket.waiting ?? []));
    for (const socket of idle) if (waiting.has(socket.inode)) this.#keep(sockets, socket);
    let contested = 0;
    let total = 0;
    for (const [inode, claims] of this.#claims) {
      this.inodes?.add(inode);
      // A row with inode 0 is a connection that is not accepted: there may be many.
      if (claims > 1 && inode !== 0) contested += claims;
      else total += claims;
    }
    return {
      sockets: sockets.filter(({ inode }) => inode === 0 || (this.#claims.get(inode) ?? 0) < 2),
      total,
      unreadable: this.#unreadable + this.#lines.overlong,
      contested,
      leftOut: this.#leftOut,
    };
  }

  #keep(sockets: SocketRecord[], socket: SocketRecord): void {
    if (this.room.reserve()) sockets.push(socket);
    else this.#leftOut++;
  }

  /** Counts a row of one interpretation that is not kept, as most rows of a host are, without creating strings. */
  #isIdle(bytes: Buffer, from: number, to: number): boolean {
    if (this.#openLines > 0 || !HEADS.some((head) => endOfForm(head, bytes, from, to) > 0)) return false;
    const end = endOfForm(IDLE_ROW, bytes, from, to);
    const [inode = 0, peerInode = 0] = numbersOfForm;
    // A client that waits to be accepted has a peer without an inode.
    if (end < 0 || peerInode === 0 || skipSpaces(bytes, end, to) !== to) return false;
    if (++this.#seen > MAX_ROWS) this.#leftOut++;
    else {
      this.#claim(inode);
      this.#pair(inode, peerInode);
    }
    return true;
  }

  #pair(inode: number, peerInode: number): void {
    if (peerInode === 0) return;
    const known = this.#peers.get(inode);
    if (known === undefined) this.#peers.set(inode, peerInode);
    else if (typeof known === 'number') this.#peers.set(inode, new Set([known, peerInode]));
    else known.add(peerInode);
  }

  #refers(inode: number, peerInode: number): boolean {
    const known = this.#peers.get(inode);
    return typeof known === 'object' ? known.has(peerInode) : known === peerInode;
  }

  #line(line: string): void {
    if (this.#openLines === 0) {
      if (!START.test(line)) {
        if (line.trim() !== '' && !isHeading(line)) this.#unreadable++;
        return;
      }
      this.#open = line;
    } else this.#open += `\n${line}`;
    this.#openLines++;
    const end = END.exec(this.#open);
    if (end) {
      this.#row(this.#open, end.index);
      this.#openLines = 0;
    } else if (this.#openLines >= MAX_LINES_OF_A_ROW) {
      this.#unreadable += this.#openLines;
      this.#openLines = 0;
    }
  }

  #row(text: string, tailAt: number): void {
    if (++this.#seen > MAX_ROWS) {
      this.#leftOut++;
      return;
    }
    const start = START.exec(text);
    if (!start || start[0].length > tailAt) {
      this.#unreadable++;
      return;
    }
    const row = {
      netid: start[1] ?? '',
      state: start[2] ?? '',
      recvQ: Number(start[3]),
      sendQ: Number(start[4]),
      names: text.slice(start[0].length, tailAt).trimEnd(),
      tail: text.slice(tailAt),
    };
    const splits = possibleSplits(row.names);
    if (splits.length === 0) {
      this.#unreadable++;
      return;
    }
    const [only] = splits;
    if (splits.length === 1 && only) this.#claim(only.inode);
    for (const split of splits) this.#pair(split.inode, split.peerInode);
    // A client that waits to be accepted has a peer without an inode.
    const mayWait = only?.peerInode === 0 && row.state === 'ESTAB';
    if (!isIdle(row) || splits.length > 1 || mayWait) this.#rows.push({ row, splits });
  }

  #claim(inode: number): void {
    this.#claims.set(inode, (this.#claims.get(inode) ?? 0) + 1);
  }
}

export interface UnixRows {
  /** Sockets with data in a queue, and those that wait to be accepted. */
  readonly sockets: readonly SocketRecord[];
  /** Number of all sockets. */
  readonly total: number;
  /** Lines that could not be parsed as (part of) a row. */
  readonly unreadable: number;
  /** Rows rejected because several claim the same inode. */
  readonly contested: number;
  /** Number of sockets beyond the maximum. */
  readonly leftOut: number;
}

function record(row: Row, split: Split, netns: number | null): SocketRecord | null {
  const skmem = parseSkmem(row.tail);
  // Queues are __u32 (struct unix_diag_rqlen).
  if (!skmem || Math.max(row.recvQ, row.sendQ) >= 2 ** 32) return null;
  const waiting = row.state === 'LISTEN' ? / peers:([ \d]*)$/.exec(row.tail)?.[1] : undefined;
  return {
    family: 'AF_UNIX',
    type: TYPES[row.netid] ?? 'SOCK_STREAM',
    protocol: 'UNIX',
    netns,
    state: socketState(row.state),
    ...split,
    ...(waiting === undefined
      ? {}
      : {
          waiting: waiting
            .split(' ')
            .filter((word) => word !== '')
            .map(Number),
        }),
    cookie: '',
    recvQ: row.recvQ,
    sendQ: row.sendQ,
    cgroup: null,
    skmem,
    tcp: null,
    timer: null,
  };
}

/** Both queues are empty; a listener's Send-Q is a limit. */
function isIdle({ recvQ, sendQ, state }: Row): boolean {
  return recvQ === 0 && (sendQ === 0 || state === 'LISTEN');
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

/** Maximum number of rows to compare: each takes some hundred bytes of memory. */
const MAX_ROWS = 300_000;

/** Beginnings of a row, and a row without data whose names contain no blanks, in the forms of `endOfForm`. */
const HEADS = ['u_str ESTAB ', 'u_dgr ESTAB ', 'u_dgr UNCONN ', 'u_seq ESTAB ', 'u_str UNCONN ', 'u_seq UNCONN '];
const IDLE_ROW = 'u_* * 0 0 * # * # skmem:(r#,rb#,t#,tb#,f#,w#,o#,bl#,d#) <->';

const START = /^(u_str|u_dgr|u_seq) +([A-Z0-9-]+) +(\d{1,15}) +(\d{1,15}) +/;
const END = new RegExp(`${SKMEM.source} (?:<->|-->|<--|---)(?: ino:\\d+ dev:\\d+/\\d+)?(?: peers:[ \\d]*)? *$`);
/** Two names of 108 bytes cannot contain more newlines than that. */
const MAX_LINES_OF_A_ROW = 217;

interface Split {
  readonly local: string;
  readonly inode: number;
  readonly peer: string;
  readonly peerInode: number;
}

/** Names without spaces: only one interpretation. */
const SIMPLE = /^(\S+) +(\d{1,15}) +(\S+) +(\d{1,15})$/;

/** All interpretations of `NAME INODE PEERNAME INODE`: one, unless a name contains a number. */
function possibleSplits(names: string): Split[] {
  const simple = SIMPLE.exec(names);
  if (simple)
    return [{ local: simple[1] ?? '', inode: Number(simple[2]), peer: simple[3] ?? '', peerInode: Number(simple[4]) }];
  const last = /^(.*) +(\d{1,15})$/s.exec(names);
  if (!last) return [];
  const peerInode = Number(last[2]);
  const front = last[1] ?? '';
  const splits: Split[] = [];
  for (const match of front.matchAll(/ (\d{1,15}) +(?=\S)/g)) {
    const local = front.slice(0, match.index).trimEnd();
    const peer = front.slice(match.index + match[0].length).trimEnd();
    if (local !== '') splits.push({ local, inode: Number(match[1]), peer, peerInode });
  }
  // If nothing else decides: an unnamed end is `*`, so the number belongs to the other name.
  return splits.sort((a, b) => rank(a) - rank(b));
}

function rank(split: Split): number {
  return Number(split.local !== '*') + Number(split.peer !== '*');
}
