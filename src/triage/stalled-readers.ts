import type { CensusEntry, CensusHolder } from '../account/census-entry.js';
import { attempted } from '../account/memory/missed.js';
import type { CensusAnswer } from '../account/sockets.js';
import { groupedStacks, type StackGroup } from '../account/task-stacks.js';
import { hex } from '../kernel/hex.js';
import type { Kernel } from '../kernel/kernel.js';
import { readTicks } from '../walk/machine/ticks.js';
import { isTcp, type TcpWaiting, TcpWaitingReader } from '../walk/sockets/tcp-waiting.js';
import type { Warnings } from '../walk/warnings.js';
import type { Finding, StackEvidence } from './finding.js';
import { evidenceOf, waitsIn } from './stack-findings.js';

/** Data that waits for less is read by programs that are busy. */
const LEAST_SECONDS = 10;

/** A peer that may still send is held up by nobody; so much that waits is worth to know all the same. */
const LEAST_BYTES = 2 ** 20;

/** Sockets that are told: those whose peer may send no more, then those that pin most. */
const MOST = 20;

const RECEIVES =
  /^(__sys_recvfrom|__sys_recvmsg|___sys_recvmsg|do_recvmmsg|sock_read_iter|sock_recvmsg|tcp_recvmsg)$/;
const POLLS =
  /^(do_poll|do_sys_poll|do_select|core_sys_select|ep_poll|do_epoll_wait|io_cqring_wait)$/;

/** What a thread does that could read. */
type Doing = 'stopped' | 'running' | 'receiving' | 'polling' | 'elsewhere';

/**
 * Connections of TCP whose data nobody takes: the newest of it came long ago, and the peer may send no more.
 * Sockets of other kinds do not note when data came.
 *
 * @param warnings takes what could not be read
 * @param leastSeconds of less nothing is told
 */
export function stalledReaders(
  kernel: Kernel,
  { sockets }: Pick<CensusAnswer, 'sockets'>,
  warnings: Warnings,
  leastSeconds = LEAST_SECONDS,
): Finding[] {
  const candidates = sockets.filter(
    ({ socket, unreadBytes, holders, subflowOf }) =>
      isTcp(socket.protocol) && (unreadBytes ?? 0) > 0 && holders.length > 0 && !subflowOf,
  );
  if (candidates.length === 0) return [];
  const told = attempted(warnings, 'how long data waits', () => {
    const [ticks, reader] = [readTicks(kernel), new TcpWaitingReader(kernel)];
    // One that cannot be read hides no other.
    return candidates.flatMap((entry) => {
      const { sock } = entry.socket;
      const what = `how long data waits in the socket at ${hex(sock)}`;
      const waiting = attempted(warnings, what, () => reader.read(sock, ticks));
      // Of a running kernel it came after its clock was read.
      if (waiting?.ageSeconds === null && !kernel.facts.live)
        warnings.add('corrupt', `${what}: it came before the machine ran, or after the dump`);
      return waiting ? [{ entry, waiting }] : [];
    });
  });
  const stalled = (told ?? [])
    .filter(
      ({ entry, waiting: { ageSeconds, closed } }) =>
        ageSeconds !== null &&
        ageSeconds >= leastSeconds &&
        (closed || entry.total.pinnedBytes >= LEAST_BYTES),
    )
    // The last stands for the rest, which must not be worse.
    .toSorted((a, b) => Number(b.waiting.closed) - Number(a.waiting.closed));
  const others = stalled.length - MOST;
  return stalled
    .slice(0, MOST)
    .map(({ entry, waiting }, index) =>
      findingOf(kernel, entry, waiting, others > 0 && index === MOST - 1 ? others : 0, warnings),
    );
}

function findingOf(
  kernel: Kernel,
  { socket, holders, total, unreadBytes }: CensusEntry,
  { ageSeconds, windowBytes, closed }: TcpWaiting,
  others: number,
  warnings: Warnings,
): Finding {
  const [holder] = holders;
  const reader = holder && readerOf(kernel, holder, warnings);
  return {
    code: 'stalled-reader',
    severity: closed ? 'warning' : 'note',
    figures: {
      ageSeconds: ageSeconds === null ? null : Math.floor(ageSeconds),
      pinnedBytes: total.pinnedBytes,
      unreadBytes,
      windowBytes,
      ...{ pid: holder?.pid ?? null, comm: holder?.comm ?? null, fd: holder?.fd ?? null },
      holders: new Set(holders.map(({ pid }) => pid)).size,
      threads: reader?.threads ?? null,
      doing: reader?.doing ?? null,
      symbol: reader?.symbol ?? null,
      sock: hex(socket.sock),
      ...{ local: socket.local, peer: socket.peer },
      ...(others > 0 ? { others } : {}),
    },
    evidence: reader ? [reader.stack] : [],
    deeper: `stacks --pid ${holder?.pid}`,
  };
}

interface Reader {
  readonly threads: number;
  readonly doing: Doing;
  readonly symbol: string | null;
  readonly stack: StackEvidence;
}

/** What a process does in place of reading: its thread that is nearest to it. */
function readerOf(kernel: Kernel, { pid }: CensusHolder, warnings: Warnings): Reader | undefined {
  const found = attempted(warnings, `stacks of pid ${pid}`, () => groupedStacks(kernel, { pid }));
  for (const { code, message } of found?.warnings ?? []) warnings.add(code, message);
  const order: readonly Doing[] = ['running', 'receiving', 'polling', 'elsewhere', 'stopped'];
  const all = (found?.groups ?? []).flatMap((group) =>
    group.tasks.map((task) => ({ group, task, doing: doingOf(group, task) })),
  );
  const [nearest] = all.toSorted(
    (a, b) => order.indexOf(a.doing) - order.indexOf(b.doing) || a.task.pid - b.task.pid,
  );
  if (!found || !nearest) return undefined;
  return {
    threads: found.tasks,
    doing: nearest.doing,
    symbol: waitsIn(nearest.group) ?? null,
    stack: evidenceOf(nearest.group),
  };
}

function doingOf({ frames }: StackGroup, { state }: StackGroup['tasks'][number]): Doing {
  if (state === 'T' || state === 't') return 'stopped';
  if (state === 'R') return 'running';
  const calls = (names: RegExp) => frames.some(({ symbol }) => names.test(symbol?.name ?? ''));
  if (calls(RECEIVES)) return 'receiving';
  return calls(POLLS) ? 'polling' : 'elsewhere';
}
