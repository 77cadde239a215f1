import type { SockIdentity } from '../walk/sockets/sock.js';

/** The ports of a socket, as its addresses show them; raw sockets, and other families, have none. */
export function portsOf({
  family,
  type,
  local,
  peer,
}: Pick<SockIdentity, 'family' | 'type' | 'local' | 'peer'>): {
  readonly local?: string | undefined;
  readonly peer?: string | undefined;
} {
  if ((family !== 'AF_INET' && family !== 'AF_INET6') || type === 'SOCK_RAW') return {};
  const portOf = (end: string | null) => /:(\d+)$/.exec(end ?? '')?.[1];
  return { local: portOf(local), peer: portOf(peer) };
}
