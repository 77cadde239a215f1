import type { SocketEnds } from '../contracts/sockets.js';

/** Families and protocols whose ends are names, even if they look like addresses. */
const NAMED = /^(?:AF_)?(?:UNIX|LOCAL|NETLINK|PACKET)$/i;

/** `10.0.0.1:80`, `[fe80::1]%eth0:80`, `[fe80::1%eth0]:80`, `10.0.0.1%eth0:80`, `*:*`. */
const END = /^(?:\[([0-9a-fA-F:.]+)(?:%[^\]]*)?\]|([^[\]%:]+))(?:%[^:]*)?:(\d{1,10}|\*)$/;

/** @param kind family or protocol @param local as ss prints it; untrusted if it is a name */
export function socketEnds(
  kind: { readonly family?: string; readonly protocol?: string },
  local: string | null,
  peer: string | null,
): SocketEnds {
  const named = [kind.family, kind.protocol].some((word) => word !== undefined && NAMED.test(word));
  const [own, other] = [local, peer].map((end) => (named ? null : partsOf(end)));
  return {
    localAddress: own?.address ?? null,
    localPort: own?.port ?? null,
    peerAddress: other?.address ?? null,
    peerPort: other?.port ?? null,
  };
}

function partsOf(end: string | null) {
  const [, six, other, port = ''] = END.exec(end ?? '') ?? [];
  const address = six ?? other;
  if (address === undefined || !/^(?:[0-9a-fA-F:.]+|\*)$/.test(address)) return null;
  return { address, port: port === '*' ? null : Number(port) };
}
