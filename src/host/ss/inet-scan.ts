import { RowCutter } from '../lines.js';
import type { SocketRecord } from '../socket.js';
import { parseInetRow, Room } from './inet.js';

const SPACE = 0x20;
const ZERO = 0x30;
const NINE = 0x39;
const L = 0x4c;
const T = 0x74;

/**
 * Reads inet rows of `ss` as they arrive and keeps those that are relevant: TCP with data in a queue,
 * listeners with pending connections, those connections, and every socket of another protocol. Idle TCP
 * sockets, most of a busy host's table, are counted from their first bytes, without creating strings.
 */
export class InetScan {
  readonly sockets: SocketRecord[] = [];
  total = 0;
  /** Number of sockets beyond the maximum. */
  leftOut = 0;
  #unreadable = 0;
  /** A listener with pending connections was found, so sockets without an inode matter. */
  #waiting = false;
  readonly #rows = new RowCutter(
    (row) => this.#row(row),
    (bytes, from, to) => this.#isIdle(bytes, from, to),
  );

  constructor(
    readonly netns: number | null,
    /** Called for every row that is kept. */
    readonly onKept: (socket: SocketRecord) => void = () => undefined,
    readonly room: Room = new Room(),
  ) {}

  get unreadable(): number {
    return this.#unreadable + this.#rows.overlong;
  }

  push(bytes: Buffer): void {
    this.#rows.push(bytes);
  }

  end(): void {
    this.#rows.end();
  }

  #isIdle(bytes: Buffer, from: number, to: number): boolean {
    const idle = isIdleTcp(bytes, from, to) && !(this.#waiting && hasNoInode(bytes, from, to));
    // Beyond the maximum, creates no strings either.
    const full = !idle && this.room.isFull;
    if (full) this.leftOut++;
    if (idle || full) this.total++;
    return idle || full;
  }

  #row(row: string): void {
    const socket = parseInetRow(row, this.netns);
    if (!socket) {
      this.#unreadable++;
      return;
    }
    this.total++;
    if (!this.room.reserve()) {
      this.leftOut++;
      return;
    }
    if (socket.state === 'LISTEN' && socket.recvQ > 0) this.#waiting = true;
    this.sockets.push(socket);
    this.onKept(socket);
  }
}

/** `tcp STATE 0 0 …`: both queues are empty; for LISTEN, whose Send-Q is a limit, `0` alone. */
function isIdleTcp(bytes: Buffer, from: number, to: number): boolean {
  if (bytes[from] !== T || bytes[from + 3] !== SPACE) return false;
  let at = skipSpaces(bytes, from + 3, to);
  const listens = bytes[at] === L && bytes[at + 1] === 0x49;
  while (at < to && bytes[at] !== SPACE) at++;
  at = skipSpaces(bytes, at, to);
  if (bytes[at] !== ZERO || bytes[at + 1] !== SPACE) return false;
  at = skipSpaces(bytes, at + 1, to);
  if (listens) return isDigit(bytes[at]);
  return bytes[at] === ZERO && bytes[at + 1] === SPACE;
}

/** True for connections that are not accepted and for orphans; occasionally for others too. */
function hasNoInode(bytes: Buffer, from: number, to: number): boolean {
  return bytes.toString('latin1', from, Math.min(to, from + 400)).includes(' ino:0 ');
}

function skipSpaces(bytes: Buffer, from: number, to: number): number {
  let at = from;
  while (at < to && bytes[at] === SPACE) at++;
  return at;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= NINE;
}
