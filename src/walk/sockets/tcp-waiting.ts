import type { Kernel } from '../../kernel/kernel.js';
import type { Ticks } from '../machine/ticks.js';
import { StructReader } from '../struct-reader.js';

/** What a TCP socket says of data that waits in it. */
export interface TcpWaiting {
  /**
   * Seconds since the newest data came (`icsk_ack.lrcvtime`): all that waits has waited at least so long.
   * Null: it would be longer than the machine runs, which none is.
   */
  readonly ageSeconds: number | null;
  /** Bytes that the peer may still send. */
  readonly windowBytes: number;
  /** It may not even send a segment (`icsk_ack.rcv_mss`). */
  readonly closed: boolean;
}

/** @param protocol the name of a sock's operations */
export function isTcp(protocol: string): boolean {
  return protocol === 'TCP' || protocol === 'TCPv6';
}

/** Reads what TCP notes of data that has come (include/net/inet_connection_sock.h, include/linux/tcp.h). */
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
    // Both are 32 bits of it, which overflow.
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
