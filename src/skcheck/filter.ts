import { BlockList, isIP } from 'node:net';
import type { SocketRecord } from '../host/socket.js';

/** Selection of sockets, in the terms of ss. Null: all. */
export interface SocketFilter {
  /** States as printed by ss, in lower or upper case: `established`, `listening`, `close-wait`, … */
  readonly states?: readonly string[];
  /** The local and the remote port. */
  readonly sport?: number;
  readonly dport?: number;
  /** An address or prefix (`10.0.0.0/8`) that contains either end, or a part of a unix path. */
  readonly address?: string;
}

/** State names of ss's filters, in addition to those that it prints. */
const STATE_NAMES: Record<string, readonly string[]> = {
  LISTENING: ['LISTEN'],
  ESTAB: ['ESTABLISHED'],
  CLOSED: ['UNCONN'],
  UNCONNECTED: ['UNCONN'],
  'SYN-RECEIVED': ['SYN-RECV'],
};

/** TCP states as printed by ss; sockets of other families use some of them. */
const STATES: ReadonlySet<string> = new Set([
  'ESTABLISHED',
  'SYN-SENT',
  'SYN-RECV',
  'NEW-SYN-RECV',
  'FIN-WAIT-1',
  'FIN-WAIT-2',
  'TIME-WAIT',
  'UNCONN',
  'CLOSE-WAIT',
  'LAST-ACK',
  'LISTEN',
  'CLOSING',
  'BOUND-INACTIVE',
]);

/** Whether {@link SocketFilter} accepts this state name. */
export function isState(name: string): boolean {
  return statesNamed(name).every((state) => STATES.has(state));
}

function statesNamed(name: string): readonly string[] {
  const state = name.toUpperCase();
  return STATE_NAMES[state] ?? [state];
}

/** Whether the text is a valid address or prefix, or could be a unix path. */
export function isAddressFilter(text: string): boolean {
  return isPath(text) || addresses(text) !== null;
}

/** Returns a predicate for sockets. Throws a RangeError for an address that `isAddressFilter` rejects. */
export function socketFilter(filter: SocketFilter): (socket: SocketRecord) => boolean {
  const states = filter.states?.flatMap(statesNamed);
  const { address, sport, dport } = filter;
  const within = address === undefined || isPath(address) ? null : addresses(address);
  if (address !== undefined && !isPath(address) && !within) throw new RangeError(`${address} is no address`);
  return (socket) =>
    (states?.includes(socket.state) ?? true) &&
    (sport === undefined || portOf(socket.local) === sport) &&
    (dport === undefined || portOf(socket.peer) === dport) &&
    (address === undefined ||
      [socket.local, socket.peer].some((end) => (within ? liesIn(within, end) : end.includes(address))));
}

function isPath(text: string): boolean {
  return /^[/@]/.test(text);
}

function addresses(text: string): BlockList | null {
  const [address = '', bits] = text.replace(/^\[(.*)\]/, '$1').split('/');
  const version = isIP(address);
  if (version === 0) return null;
  const family = version === 4 ? 'ipv4' : 'ipv6';
  const list = new BlockList();
  if (bits === undefined) list.addAddress(address, family);
  else {
    if (!/^\d{1,3}$/.test(bits) || Number(bits) > (version === 4 ? 32 : 128)) return null;
    list.addSubnet(address, Number(bits), family);
  }
  return list;
}

function liesIn(list: BlockList, end: string): boolean {
  const host = end
    .slice(0, end.lastIndexOf(':'))
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/%.*$/, '')
    .replace(/^::ffff:(?=\d+\.)/, '');
  const version = isIP(host);
  return version !== 0 && list.check(host, version === 4 ? 'ipv4' : 'ipv6');
}

function portOf(end: string): number | null {
  const port = /:(\d{1,5})$/.exec(end)?.[1];
  return port === undefined ? null : Number(port);
}
