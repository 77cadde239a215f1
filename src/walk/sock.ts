import type { Kernel } from '../kernel/kernel.js';
import { formatInet } from './address.js';
import { incompleteness } from './incompleteness.js';
import { decodeBytes, decodeText, StructReader, type StructView } from './struct-reader.js';
import type { WarningCode } from './warnings.js';

type Incomplete = (code: WarningCode, message: string) => void;

/** What a `struct sock` says of itself. Names are the kernel's own; addresses are for people. */
export interface SockIdentity {
  /** `AF_INET`, `AF_UNIX`, …, or `AF_<number>`. */
  readonly family: string;
  /** `SOCK_STREAM`, …, or `SOCK_<number>`. */
  readonly type: string;
  /** `TCP`, `UDP`, …; for other families the name of the kernel's protocol (`NETLINK`). Hostile. */
  readonly protocol: string;
  readonly state: string;
  /** `10.0.2.15:9000`, `[::1]:80`, `/run/x.sock`, `@abstract`; null if it has none. Hostile. */
  readonly local: string | null;
  readonly peer: string | null;
  /** Inode number of its network namespace, as /proc/PID/ns/net shows it; null: it cannot be read. */
  readonly netns: number | null;
}

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;

/** include/linux/socket.h */
const FAMILIES: Readonly<Record<number, string>> = {
  1: 'AF_UNIX',
  2: 'AF_INET',
  10: 'AF_INET6',
  15: 'AF_KEY',
  16: 'AF_NETLINK',
  17: 'AF_PACKET',
  21: 'AF_RDS',
  29: 'AF_CAN',
  30: 'AF_TIPC',
  31: 'AF_BLUETOOTH',
  38: 'AF_ALG',
  40: 'AF_VSOCK',
  41: 'AF_KCM',
  42: 'AF_QIPCRTR',
  43: 'AF_SMC',
  44: 'AF_XDP',
};

/** include/linux/net.h, enum sock_type */
const TYPES: Readonly<Record<number, string>> = {
  1: 'SOCK_STREAM',
  2: 'SOCK_DGRAM',
  3: 'SOCK_RAW',
  4: 'SOCK_RDM',
  5: 'SOCK_SEQPACKET',
  6: 'SOCK_DCCP',
  10: 'SOCK_PACKET',
};

/** include/uapi/linux/in.h */
const INET_PROTOCOLS: Readonly<Record<number, string>> = {
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

/** include/net/tcp_states.h: every family counts its states in TCP's words. */
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

/** Longest address of a unix socket: `sun_path` (include/uapi/linux/un.h). */
const UNIX_PATH_MAX = 108;

const SOCK_FIELDS = [
  '__sk_common.skc_family',
  '__sk_common.skc_state',
  '__sk_common.skc_dport',
  '__sk_common.skc_num',
  '__sk_common.skc_daddr',
  '__sk_common.skc_rcv_saddr',
  '__sk_common.skc_net.net',
  '__sk_common.skc_prot',
  'sk_type',
  'sk_protocol',
  'sk_socket',
] as const;

/** Protocols of inet sockets by their type: of others a queue might be passed over. */
const INET_TYPES: Readonly<Record<string, readonly number[]>> = {
  SOCK_STREAM: [6, 132, 262],
  SOCK_DGRAM: [1, 17, 58, 136],
};

/** `proto.name` of the protocols that have queues of their own. */
const INET_NAMES: Readonly<Record<string, number>> = { TCP: 6, TCPv6: 6, UDP: 17, UDPv6: 17 };

/** Reads who a sock is: family, protocol, state, addresses, namespace. */
export class SockReader {
  readonly #kernel: Kernel;
  readonly #sock;
  readonly #net;
  readonly #socket;
  readonly #operations;

  constructor(kernel: Kernel) {
    this.#socket = new StructReader(kernel, 'socket', ['type', 'ops']);
    this.#operations = new StructReader(kernel, 'proto_ops', ['family']);
    this.#kernel = kernel;
    this.#sock = new StructReader(kernel, 'sock', SOCK_FIELDS);
    this.#net = new StructReader(kernel, 'net', ['ns.inum']);
  }

  /**
   * @param incomplete takes what lies outside the sock and cannot be read: its namespace, its address
   * @throws {ReadError} if the sock itself cannot be read
   */
  read(address: bigint, incomplete: Incomplete): SockIdentity {
    const sock = this.#sock.read(address);
    const family = sock.number('__sk_common.skc_family');
    const type = sock.number('sk_type');
    const protocol = sock.number('sk_protocol');
    const state = sock.number('__sk_common.skc_state');
    const inet = family === AF_INET || family === AF_INET6;
    const told = <T>(what: string, otherwise: T, tell: () => T): T => {
      try {
        return tell();
      } catch (error) {
        const message = `sock 0x${address.toString(16)}: ${what}: ${(error as Error).message}`;
        incomplete(incompleteness(error), message);
        return otherwise;
      }
    };
    const nowhere = { local: null, peer: null };
    return {
      family: FAMILIES[family] ?? `AF_${family}`,
      type: TYPES[type] ?? `SOCK_${type}`,
      protocol:
        (inet ? INET_PROTOCOLS[protocol] : undefined) ??
        told('the name of its protocol', String(protocol), () =>
          this.#protocolName(sock.pointer('__sk_common.skc_prot')),
        ),
      state: STATES[state] ?? `STATE_${state}`,
      ...(inet
        ? this.#inetAddresses(sock, family)
        : family === AF_UNIX
          ? told('its addresses', nowhere, () => this.#unixAddresses(address))
          : nowhere),
      netns: told('its network namespace', null, () =>
        this.#net.read(sock.pointer('__sk_common.skc_net.net')).number('ns.inum'),
      ),
    };
  }

  /**
   * What a sock and its `struct socket` say differently, or what no sock says; undefined if all
   * agrees. Which queues a sock has hangs on these.
   *
   * @throws {ReadError} if the sock, its socket or its operations cannot be read
   */
  contradiction(address: bigint): string | undefined {
    const sock = this.#sock.read(address);
    const family = sock.number('__sk_common.skc_family');
    const type = sock.number('sk_type');
    const state = sock.number('__sk_common.skc_state');
    const protocol = sock.number('sk_protocol');
    if (STATES[state] === undefined) return `its state is ${state}`;
    const inet = family === AF_INET || family === AF_INET6;
    const known = INET_TYPES[TYPES[type] ?? ''];
    if (inet && known && !known.includes(protocol)) {
      return `its type is ${TYPES[type]}, its protocol ${protocol}`;
    }
    const name = inet ? this.#protocolName(sock.pointer('__sk_common.skc_prot')) : '';
    const expected = INET_NAMES[name];
    if (expected !== undefined && expected !== protocol) {
      return `its protocol is ${protocol}, its operations' ${name}`;
    }
    const at = sock.pointer('sk_socket');
    if (at === 0n) return undefined;
    const socket = this.#socket.read(at);
    if (socket.number('type') !== type) {
      return `its type is ${type}, its socket's ${socket.number('type')}`;
    }
    const operations = socket.pointer('ops');
    if (operations === 0n) return 'its socket has no operations';
    const told = this.#operations.read(operations).number('family');
    return told === family ? undefined : `its family is ${family}, its operations' ${told}`;
  }

  #protocolName(proto: bigint): string {
    return new StructReader(this.#kernel, 'proto', ['name']).read(proto).text('name');
  }

  #inetAddresses(sock: StructView<(typeof SOCK_FIELDS)[number]>, family: number) {
    const localPort = sock.number('__sk_common.skc_num');
    const bigEndian = sock.bytes('__sk_common.skc_dport');
    const peerPort = ((bigEndian[0] ?? 0) << 8) | (bigEndian[1] ?? 0);
    let local = sock.bytes('__sk_common.skc_rcv_saddr');
    let peer = sock.bytes('__sk_common.skc_daddr');
    if (family === AF_INET6) {
      const v6 = new StructReader(this.#kernel, 'sock', [
        '__sk_common.skc_v6_rcv_saddr',
        '__sk_common.skc_v6_daddr',
      ]).read(sock.address);
      local = v6.bytes('__sk_common.skc_v6_rcv_saddr');
      peer = v6.bytes('__sk_common.skc_v6_daddr');
    }
    const connected = peerPort !== 0 || peer.some((byte) => byte !== 0);
    const bound = localPort !== 0 || local.some((byte) => byte !== 0);
    return {
      local: bound ? formatInet(local, localPort) : null,
      peer: connected ? formatInet(peer, peerPort) : null,
    };
  }

  #unixAddresses(sock: bigint) {
    const unix = new StructReader(this.#kernel, 'unix_sock', ['addr', 'peer']);
    const view = unix.read(sock);
    const peer = view.pointer('peer');
    return {
      local: this.#unixAddress(view.pointer('addr')),
      peer: peer === 0n ? null : this.#unixAddress(unix.read(peer).pointer('addr')),
    };
  }

  /** A bound path, or `@name` for an abstract one; null for a socket that never was bound. */
  #unixAddress(address: bigint): string | null {
    if (address === 0n) return null;
    const reader = new StructReader(this.#kernel, 'unix_address', ['len', 'name']);
    const FAMILY_SIZE = 2;
    const length = Math.min(reader.read(address).number('len') - FAMILY_SIZE, UNIX_PATH_MAX);
    if (length <= 0) return null;
    const path = this.#kernel.read(address + BigInt(reader.offset('name') + FAMILY_SIZE), length);
    if (path.getUint8(0) !== 0) return decodeText(path, 0, length);
    return `@${decodeBytes(new Uint8Array(path.buffer, path.byteOffset + 1, length - 1))}`;
  }
}
