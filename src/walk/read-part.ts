import { KernelError, ReadError } from '../kernel/error.js';
import type { Kernel } from '../kernel/kernel.js';
import type { SockIdentity } from './sock.js';
import { StructReader } from './struct-reader.js';

/** What in `sk_buff.cb` tells how far a protocol has read an skb. */
type Control = 'unix_skb_parms' | 'tcp_skb_cb' | 'mptcp_skb_cb';

/**
 * Of the first skb of a receive queue, how many bytes the process has read: a stream's skb stays in
 * the queue until it is read whole. Undefined: this kernel or this dump does not tell.
 */
export function readPart(
  kernel: Kernel,
  { family, type, protocol }: Pick<SockIdentity, 'family' | 'type' | 'protocol'>,
  sock: bigint,
  skb: { readonly address: bigint; readonly length: number },
): number | undefined {
  if (type !== 'SOCK_STREAM') return 0;
  const cb = kernel.struct('sk_buff')?.member('cb');
  const control = (struct: Control, member: string) => {
    const reader = new StructReader(kernel, struct, [member]);
    return reader.read(skb.address + BigInt(cb?.offset ?? 0)).number(member);
  };
  const read = () => {
    if (family === 'AF_UNIX') return control('unix_skb_parms', 'consumed');
    if (protocol === 'MPTCP') return control('mptcp_skb_cb', 'offset');
    if (protocol !== 'TCP') return 0;
    const copied = new StructReader(kernel, 'tcp_sock', ['copied_seq']);
    // Sequence numbers wrap around; what has been copied can be before the skb, if it came again.
    return Math.max(0, (copied.read(sock).number('copied_seq') - control('tcp_skb_cb', 'seq')) | 0);
  };
  try {
    return Math.min(read(), skb.length);
  } catch (error) {
    if (error instanceof ReadError) return undefined;
    if (error instanceof KernelError && error.code === 'unsupported-layout') return undefined;
    throw error;
  }
}
