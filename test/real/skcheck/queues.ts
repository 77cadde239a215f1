import { spawnSync } from 'node:child_process';

/** One socket of `ss -an`: its queues in bytes, and the full row with details. */
export interface Row {
  readonly state: string;
  readonly recvQ: number;
  readonly sendQ: number;
  readonly text: string;
}

/** Rows that ss prints for its arguments (one family, filters). */
function ss(...args: string[]): Row[] {
  const { stdout } = spawnSync('ss', ['-H', '-O', '-n', '-a', '-m', '-o', '-e', ...args], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  return stdout.split('\n').flatMap((text) => {
    const found = /^(?:[a-z_]+ +)?([A-Z][A-Z0-9-]*) +(\d+) +(\d+) /.exec(text);
    return found ? [{ state: found[1] ?? '', recvQ: Number(found[2]), sendQ: Number(found[3]), text }] : [];
  });
}

/** The connections of a TCP port of this host: the server's ends, and the clients'. */
export function connections(port: number): { servers: Row[]; clients: Row[] } {
  const ends = (which: string) => ss('-t', which, '=', `:${port}`).filter(({ state }) => state !== 'LISTEN');
  return { servers: ends('sport'), clients: ends('dport') };
}

/** The listener, or the unconnected UDP socket, of a port. */
export function bound(kind: '-t' | '-u', port: number): Row | undefined {
  return ss(kind, 'sport', '=', `:${port}`).find(({ state }) => /LISTEN|UNCONN/.test(state));
}

/** Both ends of each connection to a unix listener with this path, which contains no spaces. */
export function unixEnds(path: string): Row[] {
  const rows = ss('-x').map((row) => {
    const [, name, inode, peer] = /^(?:\S+ +){4}(\S+) +(\d+) +\* +(\d+) /.exec(row.text) ?? [];
    return { ...row, name, inode, peer };
  });
  const accepted = rows.filter(({ name, peer }) => name === path && peer !== '0');
  return accepted.flatMap((row) => [row, ...rows.filter(({ inode }) => inode === row.peer)]);
}

/** Whether the newest unread data of each TCP connection is 1 s old: from then on one sample shows that it is not read. */
export function isUnreadForLong(): boolean {
  const unread = ss('-t', '-i').filter(({ state, recvQ }) => state !== 'LISTEN' && recvQ > 0);
  return unread.every(({ text }) => Number(/ lastrcv:(\d+)/.exec(text)?.[1]) > 1000);
}

/** A TCP end that cannot send because its peer's window is closed. */
export function isBlocked({ sendQ, text }: Row): boolean {
  return sendQ > 0 && text.includes('timer:(persist');
}
