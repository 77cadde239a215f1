import type { Observation } from '../../host/observation.js';
import { dropsAreLosses } from '../../host/socket.js';
import { MOST_SOCKETS } from '../../host/ss/room.js';
import type { Diagnosis } from '../../skcheck/diagnose.js';
import { formatCount } from '../text/size.js';
import type { SkcheckWarning } from './schema.js';

/** What says that something was not looked at, so that none found is no all-clear. */
export const LEAVES_OUT: ReadonlySet<SkcheckWarning['code']> = new Set([
  'row-unreadable',
  'row-contested',
  'row-left-out',
  'netns-closed',
  'netns-hidden',
  'without-ss',
  'capture',
]);

/** Who looked: `captured` elsewhere, and before; `root`, here, without the rights that it lacks (`CAP_…`). */
interface Looker {
  readonly captured: boolean;
  readonly root: boolean;
  readonly lacking: readonly string[];
}

/** What links of others in /proc take (proc(5), ptrace(2)), and what setns(2) does. */
const TO_SEE = ['CAP_SYS_PTRACE', 'CAP_DAC_READ_SEARCH'];
const TO_ENTER = ['CAP_SYS_ADMIN'];

/** What limits the answer: what could not be seen, read or judged. */
export function lookWarnings(
  observation: Observation,
  diagnosis: Diagnosis,
  looker: Looker,
): SkcheckWarning[] {
  const { captured } = looker;
  const { first, last, holders, losses } = observation;
  const often = losses.readings === 1 ? '' : `, over ${losses.readings} readings,`;
  const warnings: SkcheckWarning[] = [];
  const warn = (code: SkcheckWarning['code'], count: number, message: string) => {
    if (count > 0) warnings.push({ code, count, message });
  };
  const suspects = diagnosis.findings.filter(
    (each) => each.verdict.verdict !== 'reading' && each.unread > 0,
  );
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
    `${sockets(hidden)} with unread data without an owner: ${formatCount(holders.denied.length)} of ${formatCount(holders.processes)} processes are not shown to this user. ${seeMore(looker)}`,
  );
  const nobody = suspects.filter((each) => each.ownerless === 'none').length;
  warn(
    'owner-unknown',
    nobody,
    `${sockets(nobody)} with unread data without an owner: no process that ${captured ? 'was captured' : 'is visible here'} has it open`,
  );
  warn(
    'undecided',
    last ? diagnosis.undecided : 0,
    `${sockets(diagnosis.undecided)} with unread data could not be judged; skcheck without --stale lists them, a ${captured ? 'capture with a longer --interval' : 'longer --interval'} may tell`,
  );
  const blind = suspects.filter(
    (each) => observation.reader === 'ss' && each.socket.protocol === 'TCP' && !each.socket.tcp,
  ).length;
  warn(
    'no-tcp-info',
    blind,
    `ss told no TCP details of ${sockets(blind)} (it is old, or the kernel has no inet_diag and tcp_diag)`,
  );
  const lost = losses.unreadable;
  const of = observation.reader === 'ss' ? 'ss' : '/proc/net';
  warn(
    'row-unreadable',
    lost,
    `${formatCount(lost)} ${lost === 1 ? 'line' : 'lines'} of ${of}${often} could not be read and ${lost === 1 ? 'is' : 'are'} left out`,
  );
  warn(
    'row-unreadable',
    losses.failed,
    `ss failed ${formatCount(losses.failed)} times when it was asked for packet, vsock, MPTCP and SCTP sockets`,
  );
  warn(
    'row-left-out',
    losses.leftOut,
    `${formatCount(losses.leftOut)} sockets${often} are left out: one look takes ${formatCount(MOST_SOCKETS)}. Look at one network namespace at a time (--netns)`,
  );
  if (observation.reader === 'procfs')
    warn(
      'without-ss',
      1,
      'read from /proc/net without ss: unix queues, the age of data, what TCP has received and what memory is charged are not to be seen there, so less is proved and the bounds are wide',
    );
  const closed = losses.closed.length;
  warn(
    'netns-closed',
    closed,
    `${formatCount(closed)} network ${closed === 1 ? 'namespace' : 'namespaces'} could not be entered. ${enterMore(looker)}`,
  );
  const { hidden: unseen } = losses;
  warn(
    'netns-hidden',
    unseen,
    `the network ${unseen === 1 ? 'namespace of 1 process is' : `namespaces of ${formatCount(unseen)} processes are`} not shown to this user: sockets in those that nobody else has were not looked at. ${seeMore(looker)}`,
  );
  const unknown = [...losses.unknown].map((table) => table.replace('_stream', ''));
  warn(
    'ss-old',
    unknown.length,
    `this ss is older than some families of sockets and shows none of them: ${unknown.join(', ')}`,
  );
  const untold = (last ?? first).sockets.filter(
    ({ protocol, skmem }) => dropsAreLosses(protocol) && skmem?.drops === null,
  ).length;
  warn('ss-old', untold, `this ss or kernel does not tell what ${sockets(untold)} dropped`);
  const { contested } = losses;
  warn(
    'row-contested',
    contested,
    `${formatCount(contested)} unix sockets${often} are left out: the name of one of them pretends to be another`,
  );
  return warnings;
}

function seeMore({ captured, root, lacking }: Looker): string {
  if (captured) return 'Capture as root to see them';
  if (!root) return 'Run as root to see them';
  const rights = TO_SEE.filter((right) => lacking.includes(right));
  return rights.length > 0
    ? `This is root already, without ${rights.join(' and ')}, as in a container`
    : 'This is root already: a security module (AppArmor, SELinux) hides them';
}

function enterMore({ captured, root, lacking }: Looker): string {
  if (captured) return 'Capture as root, with nsenter (util-linux) or ip (iproute2) installed';
  if (!root) return 'Run as root, with nsenter (util-linux) installed';
  const rights = TO_ENTER.filter((right) => lacking.includes(right));
  return rights.length > 0
    ? `This is root already, without ${rights.join(' and ')}, as in a container`
    : 'This is root already: it needs nsenter (util-linux), and a filter of system calls (seccomp) that lets it use setns';
}

function sockets(count: number): string {
  return count === 1 ? '1 socket' : `${formatCount(count)} sockets`;
}
