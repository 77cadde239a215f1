import type { SkbProcessJson } from '../../src/answers/schema.js';
import type { OracleFigures, OracleSocket } from './lab.js';

type SocketJson = SkbProcessJson['sockets'][number];
type FiguresJson = SocketJson['total'];

/** A socket of ours as drgn's oracle tells it: everything that both know. */
export function asOracle({
  socket,
  queues,
  total,
}: Pick<SocketJson, 'socket' | 'queues' | 'total'>) {
  // The kernel's protocols of unix sockets have names; drgn's walk gives the number, always 0.
  const protocol = socket.family === 'AF_UNIX' ? '0' : socket.protocol;
  return { socket: { ...socket, protocol }, queues, total };
}

/** The same part of what the oracle tells. */
export function fromOracle(oracle: OracleSocket) {
  const { file, sock, inode, family, type, state, local, peer, netns } = oracle;
  const protocol = family === 'AF_UNIX' ? '0' : oracle.protocol;
  return {
    socket: {
      file,
      sock,
      inode,
      family,
      type,
      protocol,
      state,
      local,
      peer,
      netns,
      ...apart(local, 'localAddress', 'localPort', family),
      ...apart(peer, 'peerAddress', 'peerPort', family),
    },
    queues: Object.fromEntries(
      Object.entries(oracle.queues).map(([name, queue]) => [name, figures(queue)]),
    ),
    total: figures(oracle.total),
  };
}

/** `10.0.2.15:9001`, `[::1]:80`: the address and the port; those of other families have neither. */
function apart(end: string | null, address: string, port: string, family: string) {
  const found = family.startsWith('AF_INET') && end !== null ? /^(.*):(\d+)$/.exec(end) : null;
  return {
    [address]: found ? found[1]?.replace(/^\[|\]$/g, '') : null,
    [port]: found ? Number(found[2]) : null,
  };
}

function figures({ slabSlots: _, ...rest }: OracleFigures): FiguresJson {
  return rest;
}
