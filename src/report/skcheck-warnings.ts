import type { Observation } from '../host/observe.js';
import { dropsAreLosses } from '../host/socket.js';
import type { Diagnosis } from '../stale/diagnose.js';
import { formatCount } from './size.js';
import type { SkcheckWarning } from './skcheck-schema.js';

/** What limits the answer: what could not be seen, read or judged. `captured`: elsewhere, and before. */
export function lookWarnings(
  observation: Observation,
  diagnosis: Diagnosis,
  captured: boolean,
): SkcheckWarning[] {
  const { first, last, holders } = observation;
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
    `${sockets(hidden)} with unread data without an owner: ${formatCount(holders.denied.length)} of ${formatCount(holders.processes)} processes are not shown to this user. ${captured ? 'Capture' : 'Run'} as root to see them`,
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
  const lost = (last ?? first).unreadable;
  warn(
    'row-unreadable',
    lost,
    `${formatCount(lost)} lines of ss could not be read and are left out`,
  );
  if (observation.reader === 'procfs')
    warn(
      'without-ss',
      1,
      'read from /proc/net without ss: unix queues, the age of data, what TCP has received and what memory is charged are not to be seen there, so less is proved and the bounds are wide',
    );
  const closed = (last ?? first).closed.length;
  warn(
    'netns-closed',
    closed,
    `${formatCount(closed)} network ${closed === 1 ? 'namespace' : 'namespaces'} could not be entered. ${captured ? 'Capture' : 'Run'} as root, with nsenter (util-linux)${captured ? ' or ip (iproute2)' : ''} installed`,
  );
  const unknown = [...(last ?? first).unknown].map((table) => table.replace('_stream', ''));
  warn(
    'ss-old',
    unknown.length,
    `this ss is older than some families of sockets and shows none of them: ${unknown.join(', ')}`,
  );
  const untold = (last ?? first).sockets.filter(
    ({ protocol, skmem }) => dropsAreLosses(protocol) && skmem?.drops === null,
  ).length;
  warn('ss-old', untold, `this ss or kernel does not tell what ${sockets(untold)} dropped`);
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
