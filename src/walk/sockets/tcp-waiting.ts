import type { Kernel } from '../../kernel/kernel.js';
import type { Ticks } from '../machine/clock.js';
import { StructReader } from '../struct-reader.js';

/** Queued data of a TCP socket. */
export interface TcpWaiting {
  /**
   * Seconds since the newest data arrived (`icsk_ack.lrcvtime`): all queued data is at least as old. Null: it
   * would be older than the boot, which is impossible.
   */
  readonly ageSeconds: number | null;
  /** Receive window: bytes that the peer may still send. */
  readonly windowBytes: number;
  /** The window is smaller than a segment (`icsk_ack.rcv_mss`). */
  readonly closed: boolean;
}

/** @param protocol the name of a sock's protocol */
export function isTcp(protocol: string): boolean {
  return protocol === 'TCP' || protocol === 'TCPv6';
}

/** Reads TCP's records of received data (include/net/inet_connection_sock.h, include/linux/tcp.h). */
export class TcpWaitingReader {
  readonly #connection;
  readonly #tcp;

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    const members = ['icsk_ack.lrcvtime', 'icsk_ack.rcv_mss'] as const;
    this.#connection = new StructReader<(typeof members)[number]>(
      kernel,
      'inet_connection_sock',
      members,
    );
    this.#tcp = new StructReader(kernel, 'tcp_sock', ['rcv_nxt', 'rcv_wup', 'rcv_wnd']);
  }

  /** @throws {ReadError} */
  read(sock: bigint, ticks: Ticks): TcpWaiting {
    const ack = this.#connection.read(sock);
    // Both are the low 32 bits of jiffies, which wrap.
    const came = ack.number('icsk_ack.lrcvtime');
    const age = ((Number(ticks.now & 0xffff_ffffn) - came) >>> 0) / ticks.perSecond;
    const tcp = this.#tcp.read(sock);
    const left = (tcp.number('rcv_wup') + tcp.number('rcv_wnd') - tcp.number('rcv_nxt')) | 0;
    const windowBytes = Math.max(0, left);
    return {
      ageSeconds: age <= ticks.seconds ? age : null,
      windowBytes,
      closed: windowBytes < Math.max(1, ack.number('icsk_ack.rcv_mss')),
    };
  }
}
