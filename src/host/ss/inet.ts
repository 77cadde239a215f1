import { endOfForm, isDigit, numbersOfForm, RowCutter, skipSpaces } from '../lines.js';
import type { SocketMemory, SocketRecord, TcpInfo } from '../socket.js';

/**
 * Parses a row of `ss -H -O -n -e -m -i -a` for TCP, UDP, raw, MPTCP or SCTP; null if malformed;
 * without `-O`, its lines joined.
 *
 * The order is that of inet_show_sock in iproute2's misc/ss.c: netid, state, the queues, the addresses;
 * timer, uid, ino, sk, cgroup, v6only, an arrow; skmem and, for TCP, tcp_info. The only text that users
 * control is the cgroup's path, which may contain spaces (never a newline): it extends to the *last*
 * skmem, so that it cannot forge a field.
 */
export function parseInetRow(line: string, netns: number | null = null): SocketRecord | null {
  const head = HEAD.exec(line);
  if (!head) return null;
  const [all, netid = '', state = '', recvQ = '', sendQ = ''] = head;
  const rest = line.slice(all.length);
  const memoryAt = rest.lastIndexOf(' skmem:(');
  const details = (memoryAt < 0 ? rest : rest.slice(0, memoryAt)).replace(ARROW, '');
  const figures = memoryAt < 0 ? '' : rest.slice(memoryAt);
  const cgroupAt = details.indexOf(' cgroup:');
  const ids = cgroupAt < 0 ? details : details.slice(0, cgroupAt);
  const record = { recvQ: Number(recvQ), sendQ: Number(sendQ), inode: Number(INODE.exec(ids)?.[1] ?? 0) };
  // Queues are __u32 (struct inet_diag_msg).
  if (Math.max(record.recvQ, record.sendQ) >= 2 ** 32 || !Number.isSafeInteger(record.inode)) return null;
  const kind = KINDS[netid];
  if (!kind) return null;
  const tcp = netid === 'tcp';
  const timer = TIMER.exec(ids);
  const v6only = / v6only:([01])(?= |$)/.exec(details)?.[1] ?? null;
  // Rows that ss read from /proc/net have neither skmem nor v6only.
  const old = v6only === null && figures !== '';
  const local = normalizeAddress(head[5] ?? '', v6only, old);
  const peer = normalizeAddress(head[6] ?? '', v6only, old);
  return {
    ...record,
    family: isIpv6(local) || isIpv6(peer) ? 'AF_INET6' : 'AF_INET',
    ...kind,
    netns,
    state: socketState(state),
    local,
    peer,
    peerInode: 0,
    cookie: COOKIE.exec(ids)?.[1] ?? '',
    cgroup: cgroupAt < 0 ? null : details.slice(cgroupAt + 8).replace(/ v6only:[01]$/, ''),
    skmem: parseSkmem(figures),
    tcp: tcp ? parseTcpInfo(figures) : null,
    timer: timer ? { kind: timer[1] ?? '', expired: Number(timer[2]) } : null,
  };
}

// Addresses contain no spaces: device names (zones) cannot. A truncated `[` or a missing port is rejected.
const HEAD = /^(tcp|udp|raw|mptcp|sctp) +([A-Z0-9-]+) +(\d+) +(\d+) +(\S+:(?:\d+|\*)) +(\S+:(?:\d+|\*))(?= |$)/;

const KINDS: Record<string, Pick<SocketRecord, 'type' | 'protocol'>> = {
  tcp: { type: 'SOCK_STREAM', protocol: 'TCP' },
  udp: { type: 'SOCK_DGRAM', protocol: 'UDP' },
  raw: { type: 'SOCK_RAW', protocol: 'RAW' },
  mptcp: { type: 'SOCK_STREAM', protocol: 'MPTCP' },
  sctp: { type: 'SOCK_STREAM', protocol: 'SCTP' },
};

const INODE = / ino:(\d+)/;
const TIMER = / timer:\((on|off|keepalive|timewait|persist|unknown),[^,)]*,(\d{1,9})\)/;
const COOKIE = / sk:([0-9a-f]+)/;

/** Directions that are shut down; not reported by very old kernels. */
const ARROW = / (?:<->|-->|<--|---)$/;

/**
 * Normalizes an address to the format of iproute2 since 4.13: before, IPv6 had no brackets, and `*` was
 * printed for all of IPv4. Now `*` is a dual-stack socket, marked `v6only:0`; `old`: no such marker.
 */
function normalizeAddress(address: string, v6only: string | null, old: boolean): string {
  const at = address.lastIndexOf(':');
  const host = address.slice(0, at);
  const port = address.slice(at + 1);
  if (host === '*') return old ? `0.0.0.0:${port}` : address;
  if (host.startsWith('[') || !host.includes(':')) return address;
  if (host === '::' && v6only === '0') return `*:${port}`;
  const [, ip = '', zone = ''] = /^([^%]*)(%.*)?$/.exec(host) ?? [];
  return `[${ip}]${zone}:${port}`;
}

/** A wildcard `*:80` is an IPv6 socket that accepts IPv4 too. */
function isIpv6(address: string): boolean {
  return address.startsWith('[') || address.startsWith('*:');
}

/** The tcp_info fields in use; ss omits those that are zero. */
const TCP_FIELDS =
  / (rcvmss|bytes_received|bytes_acked|data_segs_in|lastsnd|lastrcv|notsent|rcv_ooopack|segs_(?:in|out)):(\d+)/g;

/**
 * Null if ss printed no tcp_info, which always has an `rcvmss` on an established connection. Bytes are
 * counted since Linux 4.1, segments (every connection has some) since 4.2: without both, they are unknown.
 */
function parseTcpInfo(figures: string): TcpInfo | null {
  let rcvMss = 0;
  let counted = false;
  let bytesReceived = 0;
  let dataSegments = 0;
  let lastReceivedMs = 0;
  let outOfOrder = 0;
  let bytesAcked = 0;
  let lastSentMs = 0;
  let notSent = 0;
  for (const [, name, digits] of figures.matchAll(TCP_FIELDS)) {
    const value = Number(digits);
    counted ||= name?.startsWith('bytes_') || name?.startsWith('segs_') || false;
    if (name === 'rcvmss') rcvMss = value;
    else if (name === 'bytes_received') bytesReceived = value;
    else if (name === 'data_segs_in') dataSegments = value;
    else if (name === 'lastrcv') lastReceivedMs = value;
    else if (name === 'bytes_acked') bytesAcked = value;
    else if (name === 'lastsnd') lastSentMs = value;
    else if (name === 'notsent') notSent = value;
    else if (name === 'rcv_ooopack') outOfOrder = value;
  }
  if (rcvMss === 0) return null;
  return {
    bytesReceived: counted && Number.isSafeInteger(bytesReceived) ? bytesReceived : null,
    lastReceivedMs,
    dataSegments,
    rcvMss,
    outOfOrder,
    bytesAcked: counted && Number.isSafeInteger(bytesAcked) ? bytesAcked : null,
    lastSentMs,
    notSent,
  };
}

/**
 * Maximum number of sockets to keep per sample: each needs up to 10 KB until the answer is printed, and
 * a sample must stay below 500 MB. A host in trouble has thousands of sockets with queued data.
 */
export const MAX_SOCKETS = 20_000;

/** The remaining number of sockets to keep in one sample, over all its namespaces and families. */
export class Room {
  #remaining = MAX_SOCKETS;

  get isFull(): boolean {
    return this.#remaining <= 0;
  }

  /** Reserves room for one more socket; false if there is none. */
  reserve(): boolean {
    if (this.#remaining <= 0) return false;
    this.#remaining--;
    return true;
  }
}

/** `skmem:(r0,rb131072,t0,tb16384,f0,w0,o0,bl0,d0)`; kernels before 4.7 have no `d`. */
export const SKMEM = /skmem:\(r(\d+),rb(\d+),t(\d+),tb(\d+),f(\d+),w(\d+),o(\d+)(?:,bl(\d+))?(?:,d(\d+))?\)/;

/** Parses the first `skmem:(…)` in trusted text, or returns null. */
export function parseSkmem(text: string): SocketMemory | null {
  const match = SKMEM.exec(text);
  if (!match) return null;
  const figure = (index: number) => Number(match[index] ?? 0);
  const memory = {
    rmem: figure(1),
    rcvbuf: figure(2),
    wmem: figure(3),
    sndbuf: figure(4),
    forward: figure(5),
    wmemQueued: figure(6),
    optmem: figure(7),
    backlog: figure(8),
    drops: match[9] === undefined ? null : figure(9),
  };
  // __u32 (SK_MEMINFO_*, include/uapi/linux/sock_diag.h).
  return Object.values(memory).every((bytes) => bytes === null || bytes < 2 ** 32) ? memory : null;
}

const FULL_NAMES: Record<string, string> = { ESTAB: 'ESTABLISHED' };

/** Expands the one state that ss abbreviates; all others (`UNCONN`, `CLOSE-WAIT`, …) stay unchanged. */
export function socketState(word: string): string {
  return FULL_NAMES[word] ?? word;
}

const SPACE = 0x20;
const ZERO = 0x30;
const COLON = 0x3a;
const BRACKET = 0x28;
const L = 0x4c;
const O = 0x6f;
const T = 0x74;
const U = 0x75;

/**
 * Reads inet rows of `ss` as they arrive and keeps those that are relevant: TCP with data in a queue,
 * listeners with pending connections, those connections, and sockets of other protocols. Idle TCP sockets, most of a
 * busy host's table, are counted from their first bytes, without creating strings; idle UDP sockets that never dropped a
 * packet by their ends too.
 */
export class InetScan {
  readonly sockets: SocketRecord[] = [];
  total = 0;
  /** Number of sockets beyond the maximum. */
  leftOut = 0;
  #unreadable = 0;
  /** Inodes and cookies of sockets. */
  readonly #seen = new Set<string>();
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
    /** Receives the inode of every socket, including idle ones. */
    readonly inodes?: Set<number>,
    /** Receives the inodes of UDP sockets without data, charges and drops: they are not in `sockets`. */
    readonly idle = new Set<number>(),
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
    const inode = isIdleUdp(bytes, from, to) ? inodeIn(bytes, from, to) : 0;
    if (inode > 0) this.idle.add(inode);
    const idle = inode > 0 || (isIdleTcp(bytes, from, to) && !(this.#waiting && hasNoInode(bytes, from, to)));
    // Beyond the maximum, creates no strings either.
    const full = !idle && this.room.isFull;
    if (full) this.leftOut++;
    if (idle || full) {
      this.total++;
      this.inodes?.add(inode || inodeIn(bytes, from, to));
    }
    return idle || full;
  }

  #row(row: string): void {
    const socket = parseInetRow(row, this.netns);
    if (!socket) {
      this.#unreadable++;
      return;
    }
    // Of a table that changes meanwhile the kernel may list a socket twice (inet_diag).
    const identity = `${socket.inode} ${socket.cookie}`;
    if (socket.cookie !== '' && this.#seen.has(identity)) return;
    this.#seen.add(identity);
    // The socket is kept, but what its queues are charged for is unknown.
    if (socket.skmem === null && row.includes(' skmem:(')) this.#unreadable++;
    this.total++;
    this.inodes?.add(socket.inode);
    // Without -O the end is in another line.
    if (wasIdle(socket)) {
      this.idle.add(socket.inode);
      return;
    }
    if (!this.room.reserve()) {
      this.leftOut++;
      return;
    }
    if (socket.state === 'LISTEN' && socket.recvQ > 0) this.#waiting = true;
    this.sockets.push(socket);
    this.onKept(socket);
  }
}

/** End of a row of a socket to which nothing is charged, and that dropped nothing (since 4.7). */
const IDLE_END = ' skmem:(r0,rb#,t0,tb#,f0,w0,o0,bl0,d0)';
const MAX_END = 160;

/** `udp STATE 0 0 …`, by its end also without any other memory. */
function isIdleUdp(bytes: Buffer, from: number, to: number): boolean {
  if (bytes[from] !== U || endOfForm('udp * 0 0 ', bytes, from, to) < 0) return false;
  let at = to;
  const least = Math.max(from, to - MAX_END);
  while (at > least && bytes[at] !== BRACKET) at--;
  const end = endOfForm(IDLE_END, bytes, at - ' skmem:'.length, to);
  return end > 0 && skipSpaces(bytes, end, to) === to;
}

function wasIdle({ protocol, inode, recvQ, sendQ, skmem }: SocketRecord): boolean {
  if (protocol !== 'UDP' || inode === 0 || recvQ + sendQ > 0 || skmem === null) return false;
  const { rmem, wmem, forward, wmemQueued, optmem, backlog, drops } = skmem;
  return drops === 0 && rmem + wmem + forward + wmemQueued + optmem + backlog === 0;
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

/** The inode of a row without making a string of it; 0 if it has none. Nothing before it is a user's text. */
function inodeIn(bytes: Buffer, from: number, to: number): number {
  // By hand: a call of indexOf takes longer than such a row.
  for (let at = from + 4; at < to; at++)
    if (bytes[at] === COLON && bytes[at - 1] === O && endOfForm(' ino:#', bytes, at - 4, to) > 0)
      return numbersOfForm[0] ?? 0;
  return 0;
}
