import type { Observation } from '../host/observe.js';
import type { SocketMemory } from '../host/socket.js';
import type { Diagnosis, Finding } from '../stale/diagnose.js';
import { formatCount } from './size.js';
import type { SkcheckReport, SkcheckSocket, SkcheckWarning } from './skcheck-schema.js';
import { because } from './skcheck-words.js';

/**
 * The one object that both `--json` and the text are printed from.
 * `takenAt`: when the last sample was taken. `only`: which findings to list.
 */
export function skcheckReport(
  observation: Observation,
  diagnosis: Diagnosis,
  options: { readonly takenAt: Date; readonly only: 'stalled' | 'all' },
): SkcheckReport {
  const { host, first, last } = observation;
  const listed = diagnosis.findings.filter(
    (each) => options.only === 'all' || each.verdict.verdict === 'stalled-reader',
  );
  return {
    schema: 'skcheck/1',
    host: {
      name: host.name,
      release: host.release,
      netns: host.netns,
      takenAt: options.takenAt.toISOString(),
      samples: last ? 2 : 1,
      watchedMs: last ? Math.max(0, Math.floor(last.startedMs - first.endedMs)) : 0,
    },
    sockets: listed.map((finding) => socketEntry(finding, host.netns)),
    totals: {
      sockets: diagnosis.examined,
      stalled: diagnosis.stalled,
      undecided: diagnosis.undecided,
      unreadBytes: diagnosis.totals.unread,
      pinned: whole(diagnosis.totals.pinned),
    },
    warnings: collectWarnings(observation, diagnosis),
  };
}

/** JSON on one line, all ASCII: whatever the names in it, a terminal shows it and does not obey. */
export function formatSkcheckJson(report: SkcheckReport): string {
  return JSON.stringify(report).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function socketEntry(finding: Finding, netns: number | null): SkcheckSocket {
  const { socket, verdict } = finding;
  const holders = finding.holders.map(({ pid, fds }) => {
    const process = finding.processes.find((each) => each.pid === pid);
    return {
      pid,
      comm: process?.comm ?? null,
      fds: [...fds],
      threadStates: process?.threadStates ?? null,
      waitsIn: process?.waitsIn ?? null,
    };
  });
  const [owner] = holders;
  return {
    pid: owner?.pid ?? null,
    comm: owner?.comm ?? null,
    fds: owner?.fds ?? [],
    holders,
    family: socket.family,
    type: socket.type,
    protocol: socket.protocol,
    state: socket.state,
    local: socket.local,
    peer: socket.peer,
    inode: socket.inode,
    netns,
    cgroup: socket.cgroup,
    recvQ: socket.recvQ,
    sendQ: socket.sendQ,
    skmem: socket.skmem && memoryEntry(socket.skmem),
    unreadBytes: finding.unread,
    stalled: {
      verdict: verdict.verdict,
      certainty: verdict.certainty,
      forMs: verdict.waitedMs === null ? null : Math.floor(verdict.waitedMs),
      because: because(finding),
    },
    pinned: whole(finding.pinned),
  };
}

function memoryEntry(memory: SocketMemory): NonNullable<SkcheckSocket['skmem']> {
  return {
    r: memory.rmem,
    rb: memory.rcvbuf,
    t: memory.wmem,
    tb: memory.sndbuf,
    f: memory.forward,
    w: memory.wmemQueued,
    o: memory.optmem,
    bl: memory.backlog,
    d: memory.drops,
  };
}

function whole(range: { low: number; likely: number; high: number }) {
  return {
    low: Math.floor(range.low),
    likely: Math.round(range.likely),
    high: Math.ceil(range.high),
  };
}

function collectWarnings(observation: Observation, diagnosis: Diagnosis): SkcheckWarning[] {
  const { first, last, holders } = observation;
  const warnings: SkcheckWarning[] = [];
  const warn = (code: SkcheckWarning['code'], count: number, message: string) => {
    if (count > 0) warnings.push({ code, count, message });
  };
  const suspects = diagnosis.findings.filter((each) => each.verdict.verdict !== 'reading');
  if (!last)
    warn(
      'one-sample',
      suspects.length,
      'one sample only: a TCP socket counts as stalled when its newest unread data is a second old or more; it may still be reading, slowly',
    );
  const hidden = suspects.filter((each) => each.ownerless === 'denied').length;
  warn(
    'owner-unknown',
    hidden,
    `${sockets(hidden)} with unread data without an owner: ${formatCount(holders.denied.length)} of ${formatCount(holders.processes)} processes are not shown to this user. Run as root to see them`,
  );
  const unknown = suspects.filter((each) => each.ownerless === 'none').length;
  warn(
    'owner-unknown',
    unknown,
    `${sockets(unknown)} with unread data without an owner: no process that is visible here has it open`,
  );
  warn(
    'undecided',
    last ? diagnosis.undecided : 0,
    `${sockets(diagnosis.undecided)} with unread data could not be judged; skcheck without --stale lists them, a longer --interval may tell`,
  );
  const blind = suspects.filter(
    (each) => each.socket.protocol === 'TCP' && !each.socket.tcp,
  ).length;
  warn(
    'no-tcp-info',
    blind,
    `ss told no TCP details of ${sockets(blind)} (does the kernel have inet_diag and tcp_diag?)`,
  );
  const lost = (last ?? first).unreadable;
  warn(
    'row-unreadable',
    lost,
    `${formatCount(lost)} lines of ss could not be read and are left out`,
  );
  const contested = (last ?? first).contested;
  warn(
    'row-contested',
    contested,
    `${formatCount(contested)} unix sockets are left out: the name of one of them pretends to be another`,
  );
  return warnings;
}

function sockets(count: number): string {
  return count === 1 ? '1 socket' : `${formatCount(count)} sockets`;
}
