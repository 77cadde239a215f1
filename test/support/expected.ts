import type { SkbProcessJson } from '../../src/contracts/sockets.js';
import type { OracleFigures, OracleSocket } from './lab.js';

type SocketJson = SkbProcessJson['sockets'][number];
type FiguresJson = SocketJson['total'];

/** A socket of an answer in the oracle's form, with everything that both report. */
export function asOracle({ socket, queues, total }: Pick<SocketJson, 'socket' | 'queues' | 'total'>) {
  // Protocols of unix sockets have names in the kernel; drgn reports the number, which is always 0.
  const protocol = socket.family === 'AF_UNIX' ? '0' : socket.protocol;
  return { socket: { ...socket, protocol }, queues, total };
}

/** The same fields in the oracle's output. */
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
    queues: Object.fromEntries(Object.entries(oracle.queues).map(([name, queue]) => [name, figures(queue)])),
    total: figures(oracle.total),
  };
}

/** `10.0.2.15:9001`, `[::1]:80`: address and port, which other families do not have. */
function apart(end: string | null, address: string, port: string, family: string) {
  const found = family.startsWith('AF_INET') && end !== null ? /^(.*):(\d+)$/.exec(end) : null;
  return { [address]: found ? found[1]?.replace(/^\[|\]$/g, '') : null, [port]: found ? Number(found[2]) : null };
}

function figures({ slabSlots: _, ...rest }: OracleFigures): FiguresJson {
  return rest;
}
