import { readOrNot } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { isLoaded } from '../machine-facts.js';
import type { SockIdentity } from './sock.js';

const LOOPBACK = /^(?:127\.|\[::1\])/;
/** Modules that change ports or addresses of packets. */
const REWRITE = ['nf_nat', 'ip_vs'] as const;

/**
 * States that the two ends of a connection cannot have at once. Each state is set before the packet is sent that
 * changes that of the other end (net/ipv4/tcp.c, tcp_input.c).
 */
const EXCLUSIVE: ReadonlySet<string> = new Set(
  [
    ['ESTABLISHED', 'FIN_WAIT2', 'CLOSE_WAIT', 'LAST_ACK', 'CLOSING'],
    ['CLOSE_WAIT', 'CLOSE_WAIT', 'LAST_ACK', 'CLOSING'],
    ['FIN_WAIT2', 'FIN_WAIT1', 'FIN_WAIT2'],
    ['LAST_ACK', 'LAST_ACK'],
  ].flatMap(([first = '', ...others]) => others.flatMap((other) => [`${first} ${other}`, `${other} ${first}`])),
);

interface End {
  readonly sock: bigint;
  readonly state: string;
  /** Network namespace, own address and port, those of the peer. */
  readonly parts: readonly string[];
}

/** The TCP connections of a machine to itself: both of their ends are in the dump. */
export class LoopbackConnections {
  readonly #ends = new Map<string, End>();

  add(sock: bigint, { protocol, state, netns, local, peer }: SockIdentity): void {
    if (protocol !== 'TCP' || state === 'CLOSE' || local === null || peer === null) return;
    const [own, other] = [local, peer].map((end) => end.replace(/^\[::ffff:([\d.]+)\]/, '$1')) as [string, string];
    if (!LOOPBACK.test(own) && !LOOPBACK.test(other)) return;
    const parts = [String(netns), ...partsOf(own), ...partsOf(other)];
    this.#ends.set(parts.join(' '), { sock, state, parts });
  }

  /** How ends contradict each other, in sentences. */
  contradictions(kernel: Kernel): string[] {
    const messages: string[] = [];
    const alone = new Map<string, End>();
    for (const end of this.#ends.values()) {
      const [netns, ...parts] = end.parts;
      const other = this.#ends.get([netns, ...parts.slice(2), ...parts.slice(0, 2)].join(' '));
      if (other === undefined && end.state === 'ESTABLISHED') alone.set(end.parts.join(' '), end);
      if (other === undefined || other.sock <= end.sock || !EXCLUSIVE.has(`${end.state} ${other.state}`)) continue;
      messages.push(
        `socks ${hex(end.sock)} and ${hex(other.sock)} are one connection, but its ends are ${end.state} and ${other.state}`,
      );
    }
    const pairs = almostReverse([...alone.values()]);
    // With NAT the two ends differ on purpose.
    const isRewritten = (module: string) => readOrNot(() => isLoaded(kernel, module)) !== false;
    if (pairs.length === 0 || kernel.symbol('nf_nat_setup_info') !== undefined || REWRITE.some(isRewritten))
      return messages;
    for (const [end, other] of pairs)
      messages.push(
        `socks ${hex(end.sock)} and ${hex(other.sock)} have no other end: that of a connection to itself has its ports and addresses`,
      );
    return messages;
  }
}

function partsOf(end: string): string[] {
  const at = end.lastIndexOf(':');
  return [end.slice(0, at), end.slice(at + 1)];
}

/** Pairs that would be the two ends of one connection if one address or port were another. */
function almostReverse(ends: readonly End[]): [End, End][] {
  const pairs: [End, End][] = [];
  for (const place of [1, 2, 3, 4]) {
    const but = (parts: readonly string[]) => parts.filter((_, index) => index !== place).join(' ');
    const own = new Map(ends.map((end) => [but(end.parts), end]));
    for (const end of ends) {
      const [netns = '', ...parts] = end.parts;
      const other = own.get(but([netns, ...parts.slice(2), ...parts.slice(0, 2)]));
      // Each pair is met from both ends, at places that correspond.
      if (other && other.sock > end.sock) pairs.push([end, other]);
    }
  }
  return pairs;
}
