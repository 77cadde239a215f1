import { escapeText } from '../../base/escape.js';
import { count, formatCount } from '../../base/size.js';
import type { CapturedKind } from '../../capture/read/host.js';
import type { Namespace } from '../../host/namespaces.js';
import type { Observation } from '../../host/observation.js';
import type { NetworkLimits, Use } from '../../host/proc/net-tables.js';
import { dropsAreLosses } from '../../host/socket.js';
import { MAX_SOCKETS } from '../../host/ss/inet.js';
import type { Diagnosis } from '../../skcheck/diagnose.js';
import type { SkcheckWarning } from './schema.js';

/** Warnings about sockets that were not checked: without findings the answer is no all-clear. */
export const LEAVES_OUT: ReadonlySet<SkcheckWarning['code']> = new Set([
  'row-unreadable',
  'row-contested',
  'row-left-out',
  'netns-closed',
  'netns-hidden',
  'without-ss',
  'capture',
]);

/**
 * Access rights of the sample: `captured` elsewhere, or taken here as `root` without the capabilities in
 * `lacking`.
 */
interface Access {
  readonly captured: boolean;
  readonly root: boolean;
  readonly lacking: readonly string[];
  /** Security modules of this kernel that can hide a process from root. */
  readonly modules: readonly string[];
}

/**
 * Capabilities required to read links of other processes in /proc (proc(5), ptrace(2)); TO_ENTER: to call
 * setns(2).
 */
const TO_SEE = ['CAP_SYS_PTRACE', 'CAP_DAC_READ_SEARCH'];
const TO_ENTER = ['CAP_SYS_ADMIN'];

/** Warns about limits of the answer: parts that could not be seen, read or judged. */
export function scanWarnings(observation: Observation, diagnosis: Diagnosis, access: Access): SkcheckWarning[] {
  const { captured } = access;
  const { first, last, holders, losses } = observation;
  const often = losses.readings === 1 ? '' : ` in ${losses.readings} reads`;
  const warnings: SkcheckWarning[] = [];
  const warn = (code: SkcheckWarning['code'], count: number, message: string) => {
    if (count > 0) warnings.push({ code, count, message });
  };
  const suspects = diagnosis.findings.filter((finding) => finding.verdict.verdict !== 'reading' && finding.unread > 0);
  if (!last)
    warn(
      'one-sample',
      suspects.length,
      'one sample only: a TCP socket counts as stalled if its newest unread data is at least 1 s old; it may be a slow reader',
    );
  const hidden = suspects.filter((suspect) => suspect.ownerless === 'denied').length;
  warn(
    'owner-unknown',
    hidden,
    `owner unknown for ${count(hidden, 'socket')} with unread data: ${formatCount(holders.denied.length)} of ${formatCount(holders.processes)} processes are not visible to this user. ${seeMore(access)}`,
  );
  const unowned = suspects.filter((suspect) => suspect.ownerless === 'none').length;
  warn(
    'owner-unknown',
    unowned,
    `owner unknown for ${count(unowned, 'socket')} with unread data: no ${captured ? 'captured' : 'visible'} process has them open`,
  );
  warn(
    'undecided',
    last ? diagnosis.undecided : 0,
    `undecided: ${count(diagnosis.undecided, 'socket')} with unread data. A ${captured ? 'capture with a longer --interval' : 'longer --interval'} may decide`,
  );
  const blind = suspects.filter(
    (suspect) => observation.reader === 'ss' && suspect.socket.protocol === 'TCP' && !suspect.socket.tcp,
  ).length;
  warn(
    'no-tcp-info',
    blind,
    `ss reported no TCP details for ${count(blind, 'socket')} (old ss, or a kernel without inet_diag and tcp_diag)`,
  );
  const lost = losses.unreadable;
  const of = observation.reader === 'ss' ? 'ss' : '/proc/net';
  warn('row-unreadable', lost, `${count(lost, 'malformed line')} of ${of}${often} skipped`);
  warn(
    'row-unreadable',
    losses.failed,
    `ss failed ${formatCount(losses.failed)} times while listing packet, vsock, MPTCP and SCTP sockets`,
  );
  const missing = Math.ceil(losses.missing / losses.readings);
  warn(
    'row-unreadable',
    missing,
    `ss lists no TCP and no UDP socket, but /proc/net/sockstat counts ${formatCount(missing)}`,
  );
  warn(
    'row-left-out',
    losses.leftOut,
    `${formatCount(losses.leftOut)} sockets${often} not read: one scan reads at most ${formatCount(MAX_SOCKETS)}. Scan one network namespace at a time (--netns)`,
  );
  if (observation.reader === 'procfs')
    warn(
      'without-ss',
      1,
      'read from /proc/net without ss: no unix queues, data ages, TCP byte counts or memory charges. Fewer verdicts are proven and the bounds are wide',
    );
  const closed = losses.closed.length;
  warn(
    'netns-closed',
    closed,
    `${count(closed, 'network namespace')} could not be entered. ${enterMore(access)}. Not scanned: ${namespacesWords(losses.closed)}. Sockets there, and peers there of sockets listed here, are neither counted nor named`,
  );
  const { hidden: unseen } = losses;
  warn(
    'netns-hidden',
    unseen,
    `the network ${unseen === 1 ? 'namespace of 1 process is' : `namespaces of ${formatCount(unseen)} processes are`} not visible to this user: sockets in namespaces found nowhere else, and peers there, were not scanned. ${seeMore(access)}`,
  );
  const unknown = [...losses.unknown].map((table) => table.replace('_stream', ''));
  warn(
    'ss-old',
    unknown.length,
    `this ss does not support some socket families and lists none of them: ${unknown.join(', ')}`,
  );
  const uncounted = (last ?? first).sockets.filter(
    ({ protocol, skmem }) => dropsAreLosses(protocol) && skmem?.drops === null,
  ).length;
  warn('ss-old', uncounted, `this ss or kernel does not report drops for ${count(uncounted, 'socket')}`);
  const { contested } = losses;
  warn(
    'row-contested',
    contested,
    `${formatCount(contested)} unix sockets${often} skipped: the name of one imitates the row of another`,
  );
  return warnings;
}

const MAX_NAMESPACES = 3;

/** Returns `blue, that of pid 12 and 3 more`, escaped. */
function namespacesWords(all: readonly Namespace[]): string {
  const named = all
    .slice(0, MAX_NAMESPACES)
    .map(({ name, pid, inode }) =>
      name !== null ? escapeText(name) : pid === null ? `inode ${inode ?? '?'}` : `that of pid ${pid}`,
    );
  const rest = all.length - named.length;
  return `${named.join(', ')}${rest > 0 ? ` and ${formatCount(rest)} more` : ''}`;
}

function seeMore({ captured, root, lacking, modules }: Access): string {
  if (captured) return 'Capture as root to see them';
  if (!root) return 'Run as root to see them';
  const rights = TO_SEE.filter((right) => lacking.includes(right));
  return rights.length > 0
    ? `Already root, but without ${rights.join(' and ')}, as in a container`
    : `Already root: ${modules.length > 0 ? `a security module (${modules.join(', ')})` : 'a user namespace or seccomp'} hides them`;
}

function enterMore({ captured, root, lacking }: Access): string {
  if (captured) return 'Capture as root, with nsenter (util-linux) or ip (iproute2) installed';
  if (!root) return 'Run as root, with nsenter (util-linux) installed';
  const rights = TO_ENTER.filter((right) => lacking.includes(right));
  return rights.length > 0
    ? `Already root, but without ${rights.join(' and ')}, as in a container`
    : 'Already root: install nsenter (util-linux), and let seccomp allow setns(2)';
}

/** Share of a limit from which it is mentioned. */
const NEAR = 0.8;

/**
 * Warns about limits of the host's network stack that are nearly reached or exceeded. They apply to our own
 * namespace unless the warning names another.
 */
export function hostWarnings(limits: NetworkLimits): SkcheckWarning[] {
  const warnings: SkcheckWarning[] = [];
  const near = (code: SkcheckWarning['code'], use: Use | null, words: (used: string, limit: string) => string) => {
    if (use && use.limit > 0 && use.used >= NEAR * use.limit)
      warnings.push({ code, count: use.used, message: words(formatCount(use.used), formatCount(use.limit)) });
  };
  near(
    'tcp-orphans',
    limits.orphans,
    (used, limit) =>
      `${used} orphaned TCP ${used === '1' ? 'socket' : 'sockets'}, near or over tcp_max_orphans (${limit})`,
  );
  for (const use of limits.timeWait)
    near(
      'time-wait',
      use,
      (used, limit) =>
        `${used} TCP sockets in TIME-WAIT${namespaceWords(use.netns)}, near or over tcp_max_tw_buckets (${limit})`,
    );
  for (const [code, name, pages] of [
    ['tcp-memory', 'tcp', limits.tcpPages],
    ['udp-memory', 'udp', limits.udpPages],
  ] as const) {
    const mark = pages && Math.min(pages.pressure, NEAR * pages.limit);
    if (pages && mark !== null && pages.used >= mark)
      warnings.push({
        code,
        count: pages.used,
        message: `${formatCount(pages.used)} pages charged to ${name.toUpperCase()}: ${
          pages.used >= pages.limit
            ? `over the limit of ${name}_mem (${formatCount(pages.limit)}), packets are dropped`
            : `under memory pressure from ${formatCount(pages.pressure)} on, limit ${formatCount(pages.limit)} (${name}_mem)`
        }`,
      });
  }
  return warnings;
}

function namespaceWords({ own, name, inode, pid }: Namespace): string {
  if (own) return '';
  const where = name === null ? `${inode}${pid === null ? '' : ` (of pid ${pid})`}` : name;
  return ` in network namespace ${escapeText(where)}`;
}

/** Maximum number of listed faults of a capture. */
const MAX_TOLD = 3;

/** Warns about possibly missing data in a capture. */
export function captureWarnings(capture: {
  readonly kind: CapturedKind;
  readonly damage: readonly string[];
  /** Contradictions between facts in the capture. */
  readonly contradictions: readonly string[];
  /** Whether the capture contains no list of its files. */
  readonly unproved: boolean;
}): SkcheckWarning[] {
  const { kind, damage, unproved, contradictions } = capture;
  const warnings: SkcheckWarning[] = [];
  const more = damage.length - MAX_TOLD;
  if (damage.length > 0)
    warnings.push({
      code: 'capture',
      count: damage.length,
      message: `the capture is incomplete: ${damage.slice(0, MAX_TOLD).join('; ')}${more > 0 ? `; and ${formatCount(more)} more` : ''}${kind === 'capture' ? '. Capture that host again' : ''}`,
    });
  for (const message of contradictions) warnings.push({ code: 'capture', count: 1, message });
  if (unproved)
    warnings.push({
      code: 'capture',
      count: 1,
      message: `${UNPROVED[kind]}: no stalled socket found does not prove there is none`,
    });
  return warnings;
}

const UNPROVED: Record<CapturedKind, string> = {
  sosreport: 'a sosreport covers one network namespace and has no manifest',
  pasted: 'a pasted text may lack sockets, and has one sample',
  capture: 'the capture has no manifest (older skcheck, or truncated)',
};
