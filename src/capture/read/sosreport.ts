import type { CapturedFiles } from './files.js';

/** What a sosreport tells, in the form that a live host has it. */
export interface Sosreport {
  /** `NETNS inet|unix|others` → rows as `ss -HO` prints them; none: it has no output of ss. */
  readonly ss: ReadonlyMap<string, string>;
  readonly files: ReadonlyMap<string, string>;
  readonly links: ReadonlyMap<string, string>;
  /** Undefined: it does not tell the size of a page. */
  readonly auxv: Buffer | undefined;
  /** What `ps aux` printed. */
  readonly psText: string | undefined;
  /** Null: it does not tell, or not in UTC. */
  readonly taken: Date | null;
}

/** The inode that stands for the host's own namespace: sosreport does not tell the true one. */
const OWN = '1';

/**
 * A sosreport has the output of `ss -peaonmi` (one sample), with a heading, each socket's details on a
 * line of its own, and the owners in the row. Owners become descriptors, rows become those of `-O`.
 */
export function readSosreport(captured: CapturedFiles): Sosreport {
  const files = new Map<string, string>();
  const links = new Map([['/proc/self/ns/net', `net:[${OWN}]`]]);
  const ss = new Map<string, string>();
  const sources = captured
    .names()
    .filter((name) => /(?:^|\/)ss_-\w*$/.test(name) && !name.includes('/namespaces/'));
  const [source] = sources.sort((a, b) => b.length - a.length);
  const rows = { inet: '', unix: '', others: '' };
  for (const row of joinRows(source === undefined ? '' : (captured.get(source) ?? ''))) {
    const { text, owners } = withoutOwners(row);
    const inode = / ino:(\d{1,15})/.exec(text)?.[1] ?? UNIX_INODE.exec(text)?.[1];
    for (const { pid, fd, comm } of owners) {
      files.set(`/proc/${pid}/comm`, `${comm}\n`);
      if (inode !== undefined) links.set(`/proc/${pid}/fd/${fd}`, `socket:[${inode}]`);
    }
    if (/^(?:tcp|udp|raw) /.test(text)) {
      if (!/^tcp +TIME-WAIT /.test(text)) rows.inet += `${text}\n`;
    } else if (/^u_/.test(text)) rows.unix += `${text}\n`;
    else if (/^(?:p_|v_|mptcp|sctp)/.test(text)) rows.others += `${text}\n`;
  }
  if (source !== undefined)
    for (const [group, text] of Object.entries(rows)) ss.set(`${OWN} ${group}`, text);
  const name = captured.get('hostname') ?? captured.get('sos_commands/host/hostname');
  if (name !== undefined) files.set('/proc/sys/kernel/hostname', name);
  const release = /^\S+ \S+ (\S+)/.exec(captured.get('sos_commands/kernel/uname_-a') ?? '')?.[1];
  if (release !== undefined) files.set('/proc/sys/kernel/osrelease', release);
  const sysctls = captured.get('sos_commands/kernel/sysctl_-a') ?? '';
  for (const [, key = '', value] of sysctls.matchAll(/^(net\.(?:core|ipv4)\.\w+) = ([\d\t ]+)$/gm))
    files.set(`/proc/sys/${key.replaceAll('.', '/')}`, `${value}\n`);
  return {
    ss,
    files,
    links,
    taken: takenOf(captured),
    auxv: auxvOf(pageSizeOf(captured)),
    psText: psOf(captured),
  };
}

/** As the kernel tells programs the size of a page: AT_PAGESZ. */
function auxvOf(pageSize: number | null): Buffer | undefined {
  if (pageSize === null) return undefined;
  const auxv = Buffer.alloc(16);
  auxv.writeBigUInt64LE(6n, 0);
  auxv.writeBigUInt64LE(BigInt(pageSize), 8);
  return auxv;
}

/** Each process once stands in the shortest. */
function psOf(captured: CapturedFiles): string | undefined {
  const names = captured.names().filter((name) => name.startsWith('sos_commands/process/ps_aux'));
  const [name] = names.toSorted((a, b) => a.length - b.length);
  return name === undefined ? undefined : captured.get(name);
}

/** Architectures with one size of a page alone. */
const OF_4K = / (?:x86_64|i[3-6]86|s390x) /;

function pageSizeOf(captured: CapturedFiles): number | null {
  const [getconf = ''] = captured.names().filter((name) => name.endsWith('/getconf_-a'));
  const told = /^PAGE_?SIZE +(\d{4,6})$/m.exec(captured.get(getconf) ?? '')?.[1];
  if (told !== undefined) return Number(told);
  return OF_4K.test(captured.get('sos_commands/kernel/uname_-a') ?? '') ? 4096 : null;
}

function takenOf(captured: CapturedFiles): Date | null {
  const text = ['date_--utc', 'date'].map(
    (name) => captured.get(`sos_commands/date/${name}`) ?? '',
  );
  const [, month, day, time, year] =
    /^\w{3} (\w{3}) +(\d{1,2}) (\d\d:\d\d:\d\d)(?: [AP]M)? (?:UTC|GMT) (\d{4})$/m.exec(
      text.join('\n'),
    ) ?? [];
  const date = new Date(`${day} ${month} ${year} ${time} UTC`);
  return Number.isNaN(date.getTime()) ? null : date;
}

/**
 * A row and its details, which follow on lines that begin with a blank, as one line. A line that does
 * not begin as a row does is the rest of a name with a newline in it.
 */
function joinRows(text: string): string[] {
  const rows: string[][] = [];
  for (const line of text.split('\n')) {
    const last = rows.at(-1);
    if (/^Netid\s/.test(line) || line === '') continue;
    if (/^\s/.test(line) && last) {
      const before = last.length - 1;
      last[before] = last[before]!.trimEnd();
      last.push(` ${line.trim()}`);
    } else if (ROW_START.test(line) || !last) rows.push([line]);
    else last.push(`\n${line}`);
  }
  return rows.map((parts) => parts.join('').trimEnd());
}

const ROW_START =
  /^(?:tcp|udp|raw|mptcp|sctp|dccp|icmp6?|u_\w+|nl|p_\w+|v_\w+|tipc?|xdp|\?+) +[A-Z]/;

interface Owner {
  readonly pid: number;
  readonly fd: number;
  readonly comm: string;
}

/**
 * ` users:(("comm",pid=1,fd=2),…)`. A comm is up to 15 bytes of anything, so it may look like the end
 * of an owner, never like one and more: the longest comm that fits is the true one.
 */
function withoutOwners(row: string): { text: string; owners: Owner[] } {
  const at = row.indexOf(START);
  if (at < 0) return { text: row, owners: [] };
  const owners: Owner[] = [];
  const one = /\("([\s\S]{0,15})",pid=(\d{1,10}),fd=(\d{1,10})\)([,)])/y;
  one.lastIndex = at + START.length;
  for (let found = one.exec(row); found; found = one.exec(row)) {
    owners.push({ comm: found[1] ?? '', pid: Number(found[2]), fd: Number(found[3]) });
    if (found[4] === ')') return { text: row.slice(0, at) + row.slice(one.lastIndex), owners };
  }
  return { text: row, owners: [] };
}

const START = ' users:(';

/** `… 1143416 * 1143415 skmem:(…`: the inode of a unix socket, whose peer has a name without blanks. */
const UNIX_INODE = / (\d{1,15}) +\S+ +\d{1,15} +(?:skmem:|<->|-->|<--|---)/;
