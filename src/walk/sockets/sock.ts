import { damaged, readOrNot } from '../../base/errors.js';
import { hex, once } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { readPartOf } from '../named-read.js';
import { decodeBytes, decodeText, StructReader, type StructView } from '../struct-reader.js';
import { incompleteness, type WarningCode } from '../warnings.js';
import {
  FAMILIES,
  formatInet,
  INET_PROTOCOLS,
  inetContradiction,
  isNoState,
  isType,
  stateName,
  TYPES,
} from './sock-words.js';

type Incomplete = (code: WarningCode, message: string) => void;

/** Identity of a `struct sock`. Names are the kernel's own; addresses are for people. */
export interface SockIdentity {
  /** `AF_INET`, `AF_UNIX`, …, or `AF_<number>`. */
  readonly family: string;
  /** `SOCK_STREAM`, …, or `SOCK_<number>`. */
  readonly type: string;
  /** `TCP`, `UDP`, …; for other families the name of the kernel's protocol (`NETLINK`). Untrusted. */
  readonly protocol: string;
  readonly state: string;
  /** `10.0.2.15:9000`, `[::1]:80`, `/run/x.sock`, `@abstract`; null if it has none. Untrusted. */
  readonly local: string | null;
  readonly peer: string | null;
  /** Inode number of its network namespace, as in /proc/PID/ns/net; null if it cannot be read. */
  readonly netns: number | null;
}

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;

/**
 * Lowest namespace number: dynamic numbers start at PROC_DYNAMIC_FIRST (0xF0000000), and initial namespaces
 * are just below (include/linux/proc_ns.h).
 */
const FIRST_NAMESPACE = 0xefff_fff0;

/** Maximum length of a unix socket's address: `sun_path` (include/uapi/linux/un.h). */
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

/** Where an inet sock has its own port and address a second time (include/net/inet_sock.h). */
const INET_FIELDS = ['inet_sport', 'inet_saddr'] as const;
/** TCP, UDP, SCTP, UDP-Lite and MPTCP: the number of others is no port. */
const WITH_PORTS: ReadonlySet<number> = new Set([6, 17, 132, 136, 262]);
const TCP = 6;
/** TCP_LISTEN (include/net/tcp_states.h). */
const LISTEN = 10;

const INET6_FIELDS = ['__sk_common.skc_v6_rcv_saddr', '__sk_common.skc_v6_daddr'] as const;

/** Reads the identity of a sock: family, protocol, state, addresses, namespace. */
export class SockReader {
  readonly #kernel: Kernel;
  readonly #sock;
  readonly #net;
  readonly #socket;
  readonly #operations;
  readonly #inet6;
  readonly #inet;
  readonly #inet6Pointer;
  readonly #inet6Info;
  readonly #bound;
  readonly #bucket;
  readonly #unix;
  readonly #unixName;
  readonly #proto;
  /** Names of the dump's protocols, by the address of their `struct proto`. */
  readonly #protocols = new Map<bigint, string>();
  /** Family of the socks seen for each protocol, by the address of its `struct proto`. */
  readonly #families = new Map<bigint, number>();
  /** Numbers of the dump's network namespaces, by the address of their `struct net`. */
  readonly #namespaces = new Map<bigint, number>();

  constructor(kernel: Kernel) {
    this.#socket = new StructReader(kernel, 'socket', ['type', 'ops']);
    this.#operations = new StructReader(kernel, 'proto_ops', ['family']);
    this.#kernel = kernel;
    this.#sock = new StructReader(kernel, 'sock', SOCK_FIELDS);
    this.#net = new StructReader(kernel, 'net', ['ns.inum']);
    this.#proto = once(() => new StructReader(kernel, 'proto', ['name']));
    this.#inet6 = once(() => new StructReader(kernel, 'sock', INET6_FIELDS));
    this.#inet = once(() => StructReader.ifPresent(kernel, 'inet_sock', INET_FIELDS));
    this.#inet6Pointer = once(() => StructReader.ifPresent(kernel, 'inet_sock', ['pinet6']));
    this.#inet6Info = once(() => StructReader.ifPresent(kernel, 'ipv6_pinfo', ['saddr']));
    this.#bound = once(() => StructReader.ifPresent(kernel, 'inet_connection_sock', ['icsk_bind_hash']));
    this.#bucket = once(() => StructReader.ifPresent(kernel, 'inet_bind_bucket', ['port']));
    this.#unix = once(() => new StructReader(kernel, 'unix_sock', ['addr', 'peer']));
    this.#unixName = once(() => new StructReader(kernel, 'unix_address', ['len', 'name']));
  }

  /**
   * @param incomplete receives unreadable data outside the sock: its namespace, its address
   * @throws {ReadError} if the sock itself cannot be read
   */
  read(address: bigint, incomplete: Incomplete): SockIdentity {
    const sock = this.#sock.read(address);
    const family = sock.number('__sk_common.skc_family');
    const type = sock.number('sk_type');
    const protocol = sock.number('sk_protocol');
    const state = sock.number('__sk_common.skc_state');
    const inet = family === AF_INET || family === AF_INET6;
    const orUnknown = <T>(what: string, otherwise: T, readValue: () => T): T => {
      try {
        return readValue();
      } catch (error) {
        const message = `sock ${hex(address)}: ${what}: ${(error as Error).message}`;
        incomplete(incompleteness(error), message);
        return otherwise;
      }
    };
    const nowhere = { local: null, peer: null };
    const familyName = FAMILIES[family] ?? `AF_${family}`;
    // Earlier extracts lack the other members.
    const odd = inet ? readOrNot(() => this.#inetContradiction(sock)) : undefined;
    if (odd !== undefined && !this.#kernel.facts.live) incomplete('corrupt', `sock ${hex(address)}: ${odd}`);
    return {
      family: familyName,
      type: TYPES[type] ?? `SOCK_${type}`,
      protocol:
        (inet ? INET_PROTOCOLS[protocol] : undefined) ??
        orUnknown('the name of its protocol', String(protocol), () =>
          this.#protocolName(sock.pointer('__sk_common.skc_prot')),
        ),
      state: stateName(familyName, state),
      ...(inet
        ? this.#inetAddresses(sock, family)
        : family === AF_UNIX
          ? orUnknown('its addresses', nowhere, () => this.#unixAddresses(address))
          : nowhere),
      netns: orUnknown('its network namespace', null, () => this.#namespace(sock.pointer('__sk_common.skc_net.net'))),
    };
  }

  /** @throws {KernelError} `damaged` if the number is invalid, or belongs to another namespace */
  #namespace(net: bigint): number {
    const known = this.#namespaces.get(net);
    if (known !== undefined) return known;
    const number = this.#net.read(net).number('ns.inum');
    const isUsed = [...this.#namespaces.values()].includes(number);
    if (number < FIRST_NAMESPACE || isUsed) {
      const what = isUsed ? `, like another one` : '';
      throw damaged(`the namespace at ${hex(net)} has number ${number}${what}`);
    }
    if (!this.#kernel.facts.live) this.#namespaces.set(net, number);
    return number;
  }

  /**
   * Contradiction between a sock and its `struct socket`, or a value that no sock has; undefined if they
   * agree. The set of queues depends on these.
   *
   * @throws {ReadError} if the sock, its socket or its operations cannot be read
   */
  contradiction(address: bigint): string | undefined {
    const sock = this.#sock.read(address);
    const family = sock.number('__sk_common.skc_family');
    const type = sock.number('sk_type');
    const state = sock.number('__sk_common.skc_state');
    const protocol = sock.number('sk_protocol');
    if (isNoState(FAMILIES[family] ?? '', state)) return `invalid state ${state}`;
    if (!isType(FAMILIES[family] ?? '', type)) return `invalid type ${type}`;
    const wrong = this.#wrongProtocol(sock.pointer('__sk_common.skc_prot'), family);
    if (wrong !== undefined) return wrong;
    if (family === AF_INET || family === AF_INET6) {
      const name = this.#protocolName(sock.pointer('__sk_common.skc_prot'));
      const odd = inetContradiction(TYPES[type] ?? String(type), protocol, name);
      if (odd !== undefined) return odd;
      // Raw sockets store their protocol in this field (inet_create, net/ipv4/af_inet.c).
      const number = sock.number('__sk_common.skc_num');
      if (TYPES[type] === 'SOCK_RAW' && number !== protocol) {
        return `its protocol is ${protocol}, but its number is ${number}`;
      }
    }
    const at = sock.pointer('sk_socket');
    if (at === 0n) return undefined;
    const socket = this.#socket.read(at);
    if (socket.number('type') !== type) {
      return `its type is ${type}, but its socket has type ${socket.number('type')}`;
    }
    const operations = socket.pointer('ops');
    if (operations === 0n) return 'its socket has no operations';
    const ownFamily = this.#operations.read(operations).number('family');
    return ownFamily === family
      ? undefined
      : `its family is ${family}, but its operations belong to family ${ownFamily}`;
  }

  /**
   * Checks that a `struct proto` is used by one family only: IPv4 and IPv6 have separate ones, and so do
   * copies of them.
   */
  #wrongProtocol(proto: bigint, family: number): string | undefined {
    if (proto % 8n !== 0n) return `invalid protocol pointer ${hex(proto)}`;
    if (this.#protocolName(proto) === '') return `its protocol at ${hex(proto)} has no name`;
    const known = this.#families.get(proto) ?? family;
    this.#families.set(proto, known);
    if (known === family) return undefined;
    return `its family is ${family}, but its protocol ${hex(proto)} has family ${known}`;
  }

  #protocolName(proto: bigint): string {
    const known = this.#protocols.get(proto);
    if (known !== undefined) return known;
    const name = this.#proto().read(proto).text('name');
    if (!this.#kernel.facts.live) this.#protocols.set(proto, name);
    return name;
  }

  #inetAddresses(sock: StructView<(typeof SOCK_FIELDS)[number]>, family: number) {
    const localPort = sock.number('__sk_common.skc_num');
    const bigEndian = sock.bytes('__sk_common.skc_dport');
    const peerPort = ((bigEndian[0] ?? 0) << 8) | (bigEndian[1] ?? 0);
    let local = sock.bytes('__sk_common.skc_rcv_saddr');
    let peer = sock.bytes('__sk_common.skc_daddr');
    if (family === AF_INET6) {
      const v6 = this.#inet6().read(sock.address);
      local = v6.bytes('__sk_common.skc_v6_rcv_saddr');
      peer = v6.bytes('__sk_common.skc_v6_daddr');
    }
    const connected = peerPort !== 0 || peer.some((byte) => byte !== 0);
    const bound = localPort !== 0 || local.some((byte) => byte !== 0);
    return { local: bound ? formatInet(local, localPort) : null, peer: connected ? formatInet(peer, peerPort) : null };
  }

  /** How the own port and address of an inet sock differ from those in its other members; undefined: they agree. */
  #inetContradiction(sock: StructView<(typeof SOCK_FIELDS)[number]>): string | undefined {
    const protocol = sock.number('sk_protocol');
    // The number of a raw socket is a protocol.
    if (TYPES[sock.number('sk_type')] === 'SOCK_RAW') return this.#addressContradiction(sock);
    const port = sock.number('__sk_common.skc_num');
    const own = this.#inet()?.read(sock.address);
    if (own && port !== 0 && WITH_PORTS.has(protocol)) {
      const [high = 0, low = 0] = own.bytes('inet_sport');
      const source = (high << 8) | low;
      if (source !== port) return `its port is ${port}, but it sends from port ${source}`;
    }
    if (protocol !== TCP) return this.#addressContradiction(sock);
    const bucket = this.#bound()?.read(sock.address).pointer('icsk_bind_hash') ?? 0n;
    const bound = bucket === 0n ? port : (this.#bucket()?.read(bucket).number('port') ?? port);
    if (bound !== port) return `its port is ${port}, but it is bound to port ${bound}`;
    const peerPort = sock.number('__sk_common.skc_dport');
    if (sock.number('__sk_common.skc_state') === LISTEN && peerPort !== 0) return 'it listens, but has a peer';
    return this.#addressContradiction(sock);
  }

  /** The source address is unset before a sock is connected, and for multicast. */
  #addressContradiction(sock: StructView<(typeof SOCK_FIELDS)[number]>): string | undefined {
    let received = sock.bytes('__sk_common.skc_rcv_saddr');
    let source = this.#inet()?.read(sock.address).bytes('inet_saddr');
    if (sock.number('__sk_common.skc_family') === AF_INET6) {
      received = this.#inet6().read(sock.address).bytes('__sk_common.skc_v6_rcv_saddr');
      const info = this.#inet6Pointer()?.read(sock.address).pointer('pinet6') ?? 0n;
      source = info === 0n ? undefined : this.#inet6Info()?.read(info).bytes('saddr');
    }
    if (!source?.some((byte) => byte !== 0) || Buffer.compare(source, received) === 0) return undefined;
    return `it receives at ${formatInet(received, 0)}, but sends from ${formatInet(source, 0)}`;
  }

  #unixAddresses(sock: bigint) {
    const unix = this.#unix();
    const view = unix.read(sock);
    const peer = view.pointer('peer');
    return {
      local: this.#unixAddress(view.pointer('addr')),
      peer: peer === 0n ? null : this.#unixAddress(unix.read(peer).pointer('addr')),
    };
  }

  /** Returns the bound path, or `@name` for an abstract address; null if the socket was never bound. */
  #unixAddress(address: bigint): string | null {
    if (address === 0n) return null;
    const reader = this.#unixName();
    const FAMILY_SIZE = 2;
    const length = reader.read(address).number('len') - FAMILY_SIZE;
    // An unbound socket has no address; a path may end in a NUL of its own.
    if (!(length >= 1 && length <= UNIX_PATH_MAX + 1)) {
      throw damaged(`invalid unix address length (${length + FAMILY_SIZE} bytes)`);
    }
    const at = address + BigInt(reader.offset('name') + FAMILY_SIZE);
    const path = readPartOf(this.#kernel, 'struct unix_address', address, at, length);
    if (path.getUint8(0) !== 0) return decodeText(path, 0, length);
    return `@${decodeBytes(new Uint8Array(path.buffer, path.byteOffset + 1, length - 1))}`;
  }
}
