import type { ProcessMemoryRecord, ProcessRecords } from '../../records/processes.js';
import type { CapturedFiles } from './captured-files.js';
import { linesOf } from './lines.js';

/** Data of a sosreport, in the format of a live host. */
export interface Sosreport {
  /** `NETNS inet unix others` → rows as printed by `ss -HO`; empty: it contains no output of ss. */
  readonly ss: ReadonlyMap<string, string>;
  readonly files: ReadonlyMap<string, string>;
  readonly links: ReadonlyMap<string, string>;
  /** Output of `ps aux`. */
  readonly psText: string | undefined;
  /** Null: unknown, or not in UTC. */
  readonly capturedAt: Date | null;
}

/** Substitute inode of the host's own namespace: a sosreport lacks the real one. */
const OWN = '1';

/**
 * A sosreport contains the output of `ss -peaonmi` (one sample), with a heading, each socket's details on a
 * separate line, and the owners in the row. Owners are converted to descriptors, rows to those of `-O`.
 */
export function readSosreport(captured: CapturedFiles): Sosreport {
  const files = new Map<string, string>();
  const links = new Map([['/proc/self/ns/net', `net:[${OWN}]`]]);
  const ss = new Map<string, string>();
  const sources = captured.names().filter((name) => /(?:^|\/)ss_-\w*$/.test(name) && !name.includes('/namespaces/'));
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
  if (source !== undefined) for (const [group, text] of Object.entries(rows)) ss.set(`${OWN} ${group}`, text);
  const name = captured.get('hostname') ?? captured.get('sos_commands/host/hostname');
  if (name !== undefined) files.set('/proc/sys/kernel/hostname', name);
  const release =
    /^\S+ \S+ (\S+)/.exec(captured.get('sos_commands/kernel/uname_-a') ?? '')?.[1] ??
    /^Linux version (\S+)/.exec(captured.get('proc/version') ?? '')?.[1];
  if (release !== undefined) files.set('/proc/sys/kernel/osrelease', release);
  const modules = captured.get('sos_commands/kernel/lsmod');
  if (modules !== undefined && !captured.has('proc/modules')) files.set('/proc/modules', modules);
  const sysctls = captured.get('sos_commands/kernel/sysctl_-a') ?? '';
  for (const [, key = '', value] of sysctls.matchAll(/^(net\.(?:core|ipv4)\.\w+) = ([\d\t ]+)$/gm))
    files.set(`/proc/sys/${key.replaceAll('.', '/')}`, `${value}\n`);
  return { ss, files, links, capturedAt: captureTimeOf(captured), psText: psOf(captured) };
}

/** The shortest output lists each process only once. */
function psOf(captured: CapturedFiles): string | undefined {
  const names = captured.names().filter((name) => name.startsWith('sos_commands/process/ps_aux'));
  const [name] = names.toSorted((a, b) => a.length - b.length);
  return name === undefined ? undefined : captured.get(name);
}

function captureTimeOf(captured: CapturedFiles): Date | null {
  const text = ['date_--utc', 'date'].map((name) => captured.get(`sos_commands/date/${name}`) ?? '');
  const [, month, day, time, year] =
    /^\w{3} (\w{3}) +(\d{1,2}) (\d\d:\d\d:\d\d)(?: [AP]M)? (?:UTC|GMT) (\d{4})$/m.exec(text.join('\n')) ?? [];
  const date = new Date(`${day} ${month} ${year} ${time} UTC`);
  return Number.isNaN(date.getTime()) ? null : date;
}

/**
 * Joins a row with its details, which follow on lines that begin with a blank. Any other line that does
 * not begin a row is part of a name with a newline.
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

const ROW_START = /^(?:tcp|udp|raw|mptcp|sctp|dccp|icmp6?|u_\w+|nl|p_\w+|v_\w+|tipc?|xdp|\?+) +[A-Z]/;

interface Owner {
  readonly pid: number;
  readonly fd: number;
  readonly comm: string;
}

/**
 * ` users:(("comm",pid=1,fd=2),…)`, and without the names before iproute2 3.19. A comm is up to 15 arbitrary bytes, so it may imitate the end of an
 * owner, but not a complete additional owner: the longest comm that fits is the real one.
 */
function withoutOwners(row: string): { text: string; owners: Owner[] } {
  const at = row.indexOf(START);
  if (at < 0) return { text: row, owners: [] };
  const owners: Owner[] = [];
  const pattern = /\("([\s\S]{0,15})",(?:pid=)?(\d{1,10}),(?:fd=)?(\d{1,10})\)([,)])/y;
  pattern.lastIndex = at + START.length;
  for (let match = pattern.exec(row); match; match = pattern.exec(row)) {
    owners.push({ comm: match[1] ?? '', pid: Number(match[2]), fd: Number(match[3]) });
    if (match[4] === ')') return { text: row.slice(0, at) + row.slice(pattern.lastIndex), owners };
  }
  return { text: row, owners: [] };
}

const START = ' users:(';

/** `… 1143416 * 1143415 skmem:(…`: the inode of a unix socket whose peer has a name without blanks. */
const UNIX_INODE = / (\d{1,15}) +\S+ +\d{1,15} +(?:skmem:|<->|-->|<--|---)/;

/** Maximum number of processes to read. */
const MAX_PROCESSES = 300_000;

/** Columns of `ps aux`: user, pid, %CPU, %MEM, VSZ and RSS in KiB, terminal, state, start, time, command. */
const ROW = /^\S{1,64} +(\d{1,10}) +\d[\d.]* +\d[\d.]* +(\d{1,15}) +(\d{1,15}) +\S+ +([A-Zt-])\S* +\S+ +\S+ (.*)$/;

/** The only known size of a process is its resident size. */
const UNKNOWN = {
  uid: null,
  nsPids: [],
  cgroup: null,
  threads: null,
  ageSeconds: null,
  oomScore: null,
  oomScoreAdj: null,
  sums: null,
  started: null,
  readAt: null,
  minorFaults: null,
  majorFaults: null,
} as const;

const RSS_ONLY = {
  anonymous: null,
  file: null,
  shmem: null,
  swap: null,
  pageTables: null,
  locked: null,
  pinned: null,
  hugetlb: null,
} as const;

/** The processes of a sosreport, from `ps aux`. Rows of threads (`m`) have no pid. */
export function processesOfPs(text: string): ProcessRecords {
  const processes: ProcessMemoryRecord[] = [];
  let [kernelThreads, zombies] = [0, 0];
  const visited = new Set<number>();
  for (const line of linesOf(text)) {
    const [, digits, size, resident, state, command = ''] = ROW.exec(line) ?? [];
    const pid = Number(digits);
    if (digits === undefined || visited.has(pid) || visited.size === MAX_PROCESSES) continue;
    visited.add(pid);
    // With `m`, the state is listed for threads, not for the process.
    if (state === 'Z' || (size === '0' && command.endsWith('<defunct>'))) zombies++;
    else if (size === '0' && command.startsWith('[')) kernelThreads++;
    else
      processes.push({ ...UNKNOWN, pid, comm: nameOf(command), status: { ...RSS_ONLY, rss: Number(resident) * 1024 } });
  }
  return { processes, kernelThreads, zombies, gone: 0, hidden: !visited.has(1) };
}

/** File name of a program, as its comm would contain it; hostile. */
function nameOf(command: string): string {
  const [program = ''] = command.split(' ');
  return program.slice(program.lastIndexOf('/') + 1).slice(0, 15) || program.slice(0, 15);
}
