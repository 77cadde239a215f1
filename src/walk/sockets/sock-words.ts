import { KernelError, readOrNot } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';

import { StructReader } from '../struct-reader.js';

/** Address families (include/linux/socket.h). */
export const FAMILIES: Readonly<Record<number, string>> = {
  1: 'AF_UNIX',
  2: 'AF_INET',
  10: 'AF_INET6',
  15: 'AF_KEY',
  16: 'AF_NETLINK',
  17: 'AF_PACKET',
  21: 'AF_RDS',
  24: 'AF_PPPOX',
  29: 'AF_CAN',
  30: 'AF_TIPC',
  31: 'AF_BLUETOOTH',
  32: 'AF_IUCV',
  33: 'AF_RXRPC',
  36: 'AF_IEEE802154',
  37: 'AF_CAIF',
  38: 'AF_ALG',
  39: 'AF_NFC',
  40: 'AF_VSOCK',
  41: 'AF_KCM',
  42: 'AF_QIPCRTR',
  43: 'AF_SMC',
  44: 'AF_XDP',
  45: 'AF_MCTP',
};

/** Socket types (include/linux/net.h, enum sock_type). */
export const TYPES: Readonly<Record<number, string>> = {
  1: 'SOCK_STREAM',
  2: 'SOCK_DGRAM',
  3: 'SOCK_RAW',
  4: 'SOCK_RDM',
  5: 'SOCK_SEQPACKET',
  6: 'SOCK_DCCP',
  10: 'SOCK_PACKET',
};

/** IP protocols (include/uapi/linux/in.h). */
export const INET_PROTOCOLS: Readonly<Record<number, string>> = {
  1: 'ICMP',
  6: 'TCP',
  17: 'UDP',
  33: 'DCCP',
  58: 'ICMPV6',
  132: 'SCTP',
  136: 'UDPLITE',
  255: 'RAW',
  262: 'MPTCP',
};

/** TCP states (include/net/tcp_states.h). */
const STATES: Readonly<Record<number, string>> = {
  1: 'ESTABLISHED',
  2: 'SYN_SENT',
  3: 'SYN_RECV',
  4: 'FIN_WAIT1',
  5: 'FIN_WAIT2',
  6: 'TIME_WAIT',
  7: 'CLOSE',
  8: 'CLOSE_WAIT',
  9: 'LAST_ACK',
  10: 'LISTEN',
  11: 'CLOSING',
  12: 'NEW_SYN_RECV',
  13: 'BOUND_INACTIVE',
};

/** By state: objects shorter than a sock that begin like one (sk_fullsock, include/net/sock.h). */
const MINI_SOCKS: Readonly<Record<number, string>> = {
  6: 'a closed connection in TIME_WAIT',
  12: 'a connection request (NEW_SYN_RECV)',
};

/** The state names that stateName can return. */
export const STATE_NAMES: readonly string[] = Object.entries(STATES)
  .filter(([state]) => MINI_SOCKS[Number(state)] === undefined)
  .map(([, name]) => name);

/**
 * Families with their own state numbers: enum bt_state, PPPOX_CONNECTED, the states of RxRPC, IUCV and CAIF,
 * and SMC, which has its own (from 20) in addition to TCP's.
 */
const OWN_STATES: readonly string[] = ['AF_BLUETOOTH', 'AF_PPPOX', 'AF_RXRPC', 'AF_IUCV', 'AF_CAIF', 'AF_SMC'];

/** Families that only use TCP states. */
const TCP_STATES: readonly string[] = [
  'AF_UNIX',
  'AF_INET',
  'AF_INET6',
  'AF_NETLINK',
  'AF_PACKET',
  'AF_VSOCK',
  'AF_KEY',
  'AF_XDP',
];

/** Name of a state in a family: TCP's name, which most use, or `STATE_<number>`. */
export function stateName(family: string, state: number): string {
  const own = OWN_STATES.includes(family) && !(family === 'AF_SMC' && state < 20);
  return (own ? undefined : STATES[state]) ?? `STATE_${state}`;
}

/** Whether this state number is invalid for the family. */
export function isNoState(family: string, state: number): boolean {
  if (miniSock(family, state) !== undefined) return true;
  return TCP_STATES.includes(family) && STATES[state] === undefined;
}

/** Objects with a family and a state like socks, but without queues; undefined for a sock. */
export function miniSock(family: string, state: number): string | undefined {
  return family === 'AF_INET' || family === 'AF_INET6' ? MINI_SOCKS[state] : undefined;
}

/** Protocol number that does not fit into the eight bits of older kernels (include/uapi/linux/in.h). */
export const IPPROTO_MPTCP = 262;

export const AF_SMC = 43;

/** Whether a family supports this socket type: unix_create, net/unix/af_unix.c. */
export function isType(family: string, type: number): boolean {
  const name = TYPES[type];
  if (family === 'AF_UNIX') return UNIX_TYPES.includes(name ?? '');
  return name !== undefined;
}

const UNIX_TYPES: readonly string[] = ['SOCK_STREAM', 'SOCK_DGRAM', 'SOCK_SEQPACKET'];

interface InetProtocol {
  readonly protocol: number;
  readonly types: readonly string[];
}

const stream = (protocol: number): InetProtocol => ({ protocol, types: ['SOCK_STREAM'] });
const datagram = (protocol: number): InetProtocol => ({ protocol, types: ['SOCK_DGRAM'] });

/** `proto.name` of the kernel's own inet protocols, with further properties of their socks. */
const INET_NAMES: Readonly<Record<string, InetProtocol>> = {
  TCP: stream(6),
  TCPv6: stream(6),
  MPTCP: stream(262),
  MPTCPv6: stream(262),
  UDP: datagram(17),
  UDPv6: datagram(17),
  'UDP-Lite': datagram(136),
  UDPLITEv6: datagram(136),
  PING: datagram(1),
  PINGv6: datagram(58),
  'L2TP/IP': datagram(115),
  'L2TP/IPv6': datagram(115),
  SCTP: { protocol: 132, types: ['SOCK_STREAM', 'SOCK_SEQPACKET'] },
  SCTPv6: { protocol: 132, types: ['SOCK_STREAM', 'SOCK_SEQPACKET'] },
};

/** Protocols by socket type, if the name of the protocol's operations is another. */
const INET_TYPES: Readonly<Record<string, readonly number[]>> = {
  SOCK_STREAM: [6, 132, 262],
  SOCK_DGRAM: [1, 17, 58, 136],
};

/** Contradiction between an inet sock's type, protocol and the name of its operations. */
export function inetContradiction(type: string, protocol: number, name: string): string | undefined {
  const known = INET_NAMES[name];
  if (known !== undefined) {
    if (known.protocol !== protocol) return `its protocol is ${protocol}, but its operations belong to ${name}`;
    return known.types.includes(type) ? undefined : `its type is ${type}, but its operations belong to ${name}`;
  }
  const ofType = INET_TYPES[type];
  const odd = ofType !== undefined && INET_PROTOCOLS[protocol] !== undefined && !ofType.includes(protocol);
  return odd ? `its type is ${type}, but its protocol is ${protocol}` : undefined;
}

/** A socket protocol: a `struct proto`. */
export interface Protocol {
  readonly address: bigint;
  /** `TCP`, `TCPv6`, `UNIX-STREAM` …; untrusted. */
  readonly name: string;
  /** Its slab cache, which may be shared; 0n: its socks come from kmalloc. */
  readonly cache: bigint;
}

/** Returns every registered protocol (net/core/sock.c, `proto_list`). */
export function protocols(kernel: Kernel): Protocol[] {
  const head = kernel.symbol('proto_list');
  if (head === undefined) {
    throw new KernelError('no-symbols', 'protocols are unknown (no symbol proto_list)');
  }
  const reader = new StructReader(kernel, 'proto', ['name', 'slab', 'node']);
  return Array.from(reader.entries(head, 'node'), (proto) => ({
    address: proto.address,
    name: proto.text('name'),
    cache: proto.pointer('slab'),
  }));
}

/**
 * Protocols that are on no list: MPTCP's subflows, kTLS and sockmap give a sock a modified copy of its
 * `struct proto`, which still points to the sock's original slab cache.
 */
export class ProtocolCopies {
  readonly #proto;
  readonly #caches = new Map<bigint, bigint>();

  constructor(kernel: Kernel) {
    this.#proto = new StructReader(kernel, 'proto', ['slab']);
  }

  /** Whether an object in a slab of `cache` that names `protocol` is a sock. */
  usesCache(protocol: bigint, cache: bigint): boolean {
    if (protocol === 0n) return false;
    let named = this.#caches.get(protocol);
    if (named === undefined) {
      named = this.#cacheOf(protocol);
      this.#caches.set(protocol, named);
    }
    return named === cache;
  }

  /** 0n: there is no protocol at this address, so the slot contains no sock. */
  #cacheOf(protocol: bigint): bigint {
    return readOrNot(() => this.#proto.read(protocol).pointer('slab')) ?? 0n;
  }
}

/** Formats an address in network byte order and a port: `10.0.2.15:9000` or `[fe80::1]:80`. */
export function formatInet(address: Uint8Array, port: number): string {
  const text = formatAddress(address);
  return address.length === 4 ? `${text}:${port}` : `[${text}]:${port}`;
}

/** Formats an address in network byte order: `10.0.2.15` or `fe80::1`. */
export function formatAddress(address: Uint8Array): string {
  return address.length === 4 ? address.join('.') : formatIpv6(address);
}

/**
 * Formats as in RFC 5952: lower case, the longest run of two or more zero groups as `::`, IPv4-mapped
 * addresses dotted.
 */
function formatIpv6(address: Uint8Array): string {
  const groups = Array.from(
    { length: 8 },
    (_, index) => ((address[index * 2] ?? 0) << 8) | (address[index * 2 + 1] ?? 0),
  );
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return `::ffff:${address.subarray(12).join('.')}`;
  }
  let best = { start: 0, length: 0 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const hex = groups.map((group) => group.toString(16));
  if (best.length < 2) return hex.join(':');
  const tail = hex.slice(best.start + best.length);
  return `${hex.slice(0, best.start).join(':')}::${tail.join(':')}`;
}
