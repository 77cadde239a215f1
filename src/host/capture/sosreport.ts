import { HostError } from '../error.js';
import type { CapturedFiles } from './files.js';

/** What a sosreport tells, in the form that a live host has it. */
export interface Sosreport {
  /** `NETNS inet|unix|others` → rows as `ss -HO` prints them. */
  readonly ss: ReadonlyMap<string, string>;
  readonly files: ReadonlyMap<string, string>;
  readonly links: ReadonlyMap<string, string>;
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
  const sources = [...captured].filter(
    ([name]) => /(?:^|\/)ss_-\w*$/.test(name) && !name.includes('/namespaces/'),
  );
  const [source] = sources.sort(([a], [b]) => b.length - a.length);
  if (!source) throw new HostError('not-a-capture', 'the sosreport holds no output of ss');
  const rows = { inet: '', unix: '', others: '' };
  for (const row of joinRows(source[1])) {
    const { text, owners } = withoutOwners(row);
    const inode = / ino:(\d{1,15})/.exec(text)?.[1] ?? / (\d{1,15}) +\S+ +\d+ /.exec(text)?.[1];
    for (const { pid, fd, comm } of owners) {
      files.set(`/proc/${pid}/comm`, `${comm}\n`);
      if (inode !== undefined) links.set(`/proc/${pid}/fd/${fd}`, `socket:[${inode}]`);
    }
    if (/^(?:tcp|udp|raw) /.test(text)) {
      if (!/^tcp +TIME-WAIT /.test(text)) rows.inet += `${text}\n`;
    } else if (/^u_/.test(text)) rows.unix += `${text}\n`;
    else if (/^(?:p_|v_|mptcp|sctp)/.test(text)) rows.others += `${text}\n`;
  }
  for (const [group, text] of Object.entries(rows)) ss.set(`${OWN} ${group}`, text);
  const name = captured.get('hostname') ?? captured.get('sos_commands/host/hostname');
  if (name !== undefined) files.set('/proc/sys/kernel/hostname', name);
  const release = /^\S+ \S+ (\S+)/.exec(captured.get('sos_commands/kernel/uname_-a') ?? '')?.[1];
  if (release !== undefined) files.set('/proc/sys/kernel/osrelease', release);
  return { ss, files, links };
}

/** A row and its details, which follow on lines that begin with a blank, as one line. */
function joinRows(text: string): string[] {
  const rows: string[] = [];
  for (const line of text.split('\n')) {
    if (/^\s/.test(line) && rows.length > 0) rows[rows.length - 1] += ` ${line.trim()}`;
    else if (line.trim() !== '' && !/^Netid\s/.test(line)) rows.push(line.trimEnd());
  }
  return rows;
}

interface Owner {
  readonly pid: number;
  readonly fd: number;
  readonly comm: string;
}

/** ` users:(("comm",pid=1,fd=2),…)`: the comm may hold anything, also what looks like another owner. */
function withoutOwners(row: string): { text: string; owners: Owner[] } {
  const at = row.indexOf(' users:((');
  const end = at < 0 ? -1 : row.lastIndexOf('))', OWNERS_END.exec(row)?.index ?? row.length);
  if (at < 0 || end < at) return { text: row, owners: [] };
  const owners = [...row.slice(at, end + 2).matchAll(/\("(.*?)",pid=(\d{1,10}),fd=(\d{1,10})\)/gs)];
  return {
    text: `${row.slice(0, at)}${row.slice(end + 2)}`,
    owners: owners.map((owner) => ({
      comm: (owner[1] ?? '').slice(0, 64),
      pid: Number(owner[2]),
      fd: Number(owner[3]),
    })),
  };
}

/** What follows the owners in a row. */
const OWNERS_END = / (?:timer:\(|uid:\d|ino:\d|sk:|skmem:\(|<->)/;
