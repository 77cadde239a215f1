import type { SocketRecord } from '../socket.js';
import type { HostSource } from '../source.js';
import { parseInetRow } from './inet.js';
import { parseUnixRows } from './unix.js';

/** The sockets of one moment: read between `startedMs` and `endedMs` on the source's clock. */
export interface Sample {
  readonly startedMs: number;
  readonly endedMs: number;
  readonly sockets: readonly SocketRecord[];
  /** Lines of ss that we could not read. */
  readonly unreadable: number;
  /** Rows refused because several claim one inode: a unix socket's name pretends to be a row. */
  readonly contested: number;
}

export type SsFamily = 'tcp' | 'udp' | 'unix';

const COMMON = ['-H', '-O', '-n', '-e', '-m', '-a'];

/**
 * The arguments of the `ss` calls that read these families: one for TCP and UDP, one for unix. Two,
 * because a unix socket's name may hold a newline and so a forged row; it must not reach TCP.
 * Not `-p`: it goes through /proc for every socket, we need it for the few that are in trouble.
 * TIME-WAIT holds no data, has no inode, and is most of a busy server's table.
 */
export function ssCalls(families: readonly SsFamily[]): string[][] {
  const calls: string[][] = [];
  const inet = [
    ...(families.includes('tcp') ? ['-t', '-i'] : []),
    ...(families.includes('udp') ? ['-u'] : []),
  ];
  if (inet.length > 0) calls.push([...COMMON, ...inet, 'exclude', 'time-wait']);
  if (families.includes('unix')) calls.push([...COMMON, '-x']);
  return calls;
}

/** Reads one sample. Throws `HostError` when ss is missing, fails or hangs. */
export async function readSample(
  source: HostSource,
  families: readonly SsFamily[],
): Promise<Sample> {
  const startedMs = source.now();
  const outputs = await Promise.all(
    ssCalls(families).map(async (args) => ({ args, text: await source.ss(args) })),
  );
  const endedMs = source.now();
  const sockets: SocketRecord[] = [];
  let unreadable = 0;
  let contested = 0;
  for (const { args, text } of outputs) {
    if (args.includes('-x')) {
      const unix = parseUnixRows(text);
      for (const socket of unix.sockets) sockets.push(socket);
      unreadable += unix.unreadable;
      contested += unix.contested;
      continue;
    }
    for (const line of inetLines(text, families)) {
      const socket = parseInetRow(line);
      if (socket) sockets.push(socket);
      else unreadable++;
    }
  }
  return { startedMs, endedMs, sockets, unreadable, contested };
}

/** ss leaves the netid out when it is asked for one family only: put it back. */
function inetLines(text: string, families: readonly SsFamily[]): string[] {
  const tcp = families.includes('tcp');
  const udp = families.includes('udp');
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return tcp && udp ? lines : lines.map((line) => `${tcp ? 'tcp' : 'udp'} ${line}`);
}
