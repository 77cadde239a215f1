import type { AcceptQueue, Finding } from '../../diagnosis/finding.js';
import type { Evidence, Verdict } from '../../diagnosis/verdict.js';
import type { ProcessRecord } from '../../host/proc/process.js';
import { escapeText } from '../text/escape.js';
import { formatCount, formatSize } from '../text/size.js';

/** Why a verdict is what it is, in words: what was seen, then what the owner is doing. */
export function because(finding: Finding): string {
  const { verdict, socket } = finding;
  const words = [evidenceWords(verdict.evidence, socket.protocol)];
  if (finding.dropped > 0 && verdict.verdict !== 'udp-dropping' && socket.state !== 'LISTEN')
    words.push(
      `${formatCount(finding.dropped)} ${finding.dropped === 1 ? 'packet' : 'packets'} dropped meanwhile`,
    );
  if (verdict.verdict !== 'reading') {
    const [process] = finding.processes;
    const { cpuShare } = finding;
    if (process && cpuShare && cpuShare.used + cpuShare.waited >= SPINNING)
      words.push(`${busyWords(verdict.verdict, cpuShare)}: ${cpuWords(cpuShare)}`);
    else if (process && process.threadStates !== '') words.push(processWords(process));
    else if (process && process.comm !== '') words.push('what its process does is not known');
    else if (finding.acceptQueue) words.push(`waits in ${acceptQueueWords(finding.acceptQueue)}`);
    else if (finding.ownerless) words.push(OWNERLESS[finding.ownerless]);
  }
  return words.join('; ');
}

/** What else is wrong with a socket, in words. */
export function alsoWords(verdict: Verdict, protocol: string): string {
  return evidenceWords(verdict.evidence, protocol);
}

/** A process that would use more of a CPU than this is busy: with something else, if it reads nothing. */
const SPINNING = 0.8;

type CpuShare = NonNullable<Finding['cpuShare']>;

function busyWords(verdict: Verdict['verdict'], { used, waited }: CpuShare): string {
  if (verdict !== 'udp-dropping' && verdict !== 'slow-reader') return 'its process spins';
  return waited > used ? 'its process lacks CPU time' : 'its process is busy';
}

function cpuWords({ used, waited }: CpuShare): string {
  const percent = (share: number) => `${Math.round(share * 100)} %`;
  const turn = waited < 0.05 ? '' : `, and waited for its turn for ${percent(waited)} of the time`;
  return `it used ${percent(used)} of a CPU meanwhile${turn}`;
}

const MOST_LISTENERS = 3;

/** `the accept queue of pid 25 (perl) fd 3`, made inert. */
function acceptQueueWords({ listeners, holders, processes }: AcceptQueue): string {
  const at = `${listeners[0]?.protocol.toLowerCase()} ${escapeText(listeners[0]?.local ?? '')}`;
  const named = holders.slice(0, MOST_LISTENERS).map(({ pid, fds }) => {
    const comm = processes.find((each) => each.pid === pid)?.comm;
    return `pid ${pid}${comm === undefined ? '' : ` (${escapeText(comm)})`} fd ${fds[0]}`;
  });
  const more = holders.length - named.length;
  const who = `${named.join(', ')}${more > 0 ? ` and ${formatCount(more)} more` : ''}`;
  if (listeners.length > 1)
    return `the accept queue of one of the ${formatCount(listeners.length)} listeners at ${at}, it is not told which${who && ` (${who})`}`;
  return who === ''
    ? `the accept queue of ${at}, a listener whose process is not known`
    : `the accept queue of ${who} (listens at ${at})`;
}

const OWNERLESS = {
  unaccepted: 'the listener has not accepted it yet',
  orphan: 'no process has it open',
  denied: 'its owner is not shown to this user',
  none: 'no process that is visible here has it open',
} as const;

function evidenceWords(evidence: Evidence, protocol: string): string {
  switch (evidence.kind) {
    case 'consumed-nothing':
      return `read nothing in ${formatSpan(evidence.watchedMs)}`;
    case 'consumed':
      return `read ${formatSize(evidence.bytes)} in ${formatSpan(evidence.watchedMs)}`;
    case 'newest-data':
      return `all unread data is at least ${formatSpan(evidence.ageMs)} old; one sample cannot tell whether it reads`;
    case 'came-since':
      return 'its queue was empty at the first sample';
    case 'nobody-ran': {
      const who = {
        reader: 'no process that has it open ran',
        writer: 'nobody could have written, and the queue stayed as it was',
        either: 'reader or writer stood still all the time',
      }[evidence.side];
      const unsure = evidence.holdersComplete ? '' : ' (of those that are shown to this user)';
      return `${who} in ${formatSpan(evidence.watchedMs)}${unsure}`;
    }
    case 'partly-still':
      return `the queue never got shorter in ${formatSpan(evidence.watchedMs)}, reader or writer stood still for ${formatSpan(evidence.stillMs)} of it`;
    case 'queue-was-read':
      return 'its queue got shorter';
    case 'both-ran':
      return protocol === 'UNIX'
        ? 'data waited in both samples, but both sides ran in between and the kernel does not count what a unix socket reads'
        : `data waited in both samples, but its owner ran in between and the kernel does not count what a ${protocol === 'UDP' ? 'UDP' : protocol.toLowerCase()} socket reads`;
    case 'consumed-part':
      return `read ${formatSize(evidence.bytes)} of what waited ${formatSpan(evidence.watchedMs)} ago, while ${formatSize(evidence.received)} came (${rate(evidence.bytes, evidence.watchedMs)} out, ${rate(evidence.received, evidence.watchedMs)} in)`;
    case 'acknowledged-nothing': {
      const expired = formatCount(evidence.expired);
      const how = evidence.probing
        ? `the peer's window is closed: it does not read (${expired} ${evidence.expired === 1 ? 'probe' : 'probes'})`
        : evidence.expired > 0
          ? `the peer does not answer (${expired} ${evidence.expired === 1 ? 'retransmission' : 'retransmissions'})`
          : 'the peer does not answer';
      return `${formatSize(evidence.unsentBytes)} sent or to be sent, nothing acknowledged in ${formatSpan(evidence.watchedMs)}; ${how}`;
    }
    case 'accepted-nothing':
      return `accepted no connection in ${formatSpan(evidence.watchedMs)}; ${formatCount(evidence.waiting)} ${evidence.waiting === 1 ? 'waits' : 'wait'}`;
    case 'backlog-full':
      return `${formatCount(evidence.waiting)} connections wait to be accepted, the limit is ${formatCount(evidence.limit)}${evidence.dropped > 0 ? `; ${formatCount(evidence.dropped)} refused meanwhile` : ''}`;
    case 'dropped':
      return `${formatCount(evidence.packets)} ${evidence.packets === 1 ? 'packet' : 'packets'} dropped in ${formatSpan(evidence.watchedMs)}: its queue had no room`;
    case 'waits-for-each-other':
      return `both ends of the connection are on this host and neither reads in ${formatSpan(evidence.watchedMs)}: pid ${evidence.peerPid ?? '?'} (inode ${evidence.peerInode}) is the other one`;
    case 'no-holder':
      return 'data waited in both samples; who could have read it is not known';
    case 'no-tcp-info':
      return 'ss told nothing of what it has received';
    case 'raced':
      return 'its figures changed while they were taken; look again';
    case 'first-sample-torn':
      return 'lines of the first sample are lost, and it may have been in one of them';
    case 'one-sample':
      return 'one sample says nothing about a socket of this kind';
  }
}

/**
 * Where a frozen thread sleeps: v1's freezer in __refrigerator, v2's in do_freezer_trap, which newer
 * compilers inline into get_signal; there a thread in state S sleeps for nothing else.
 */
function isFrozen(threadStates: string, waitsIn: string | null): boolean {
  if (waitsIn === '__refrigerator' || waitsIn === 'do_freezer_trap') return true;
  return waitsIn === 'get_signal' && threadStates.startsWith('S');
}

function processWords({ threadStates, waitsIn }: ProcessRecord): string {
  const threads = threadStates.length > 1 ? ` (${formatCount(threadStates.length)} threads)` : '';
  if (/^T+$/.test(threadStates)) return 'stopped (SIGSTOP)';
  if (/^[Tt]+$/.test(threadStates)) return 'stopped by a debugger';
  if (isFrozen(threadStates, waitsIn)) return 'frozen by its cgroup';
  const where = waitsIn === null ? '' : ` in ${waitsIn}`;
  switch (threadStates[0]) {
    case 'R':
      return `its main thread runs${threads}`;
    case 'D':
      return `its main thread is blocked (D)${where}${threads}`;
    case 'S':
    case 'I':
      return `its main thread sleeps${where}${threads}`;
    case 'Z':
    case 'X':
      return `its main thread has ended${threads}`;
    default:
      return `its main thread is in state ${escapeText(threadStates[0] ?? '?')}`;
  }
}

function rate(bytes: number, ms: number): string {
  return `${formatSize(Math.round((bytes * 1000) / Math.max(1, ms)))}/s`;
}

/** A time for people, never more than it is: `0.8 s`, `12 s`, `41 min`, `3 h`, `2 d`. */
export function formatSpan(ms: number): string {
  if (ms < 10_000) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  const seconds = Math.floor(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** `tcp LOCAL ← PEER`, made inert; the end that reads stands first. */
export function socketWords(socket: {
  readonly protocol: string;
  readonly type: string;
  readonly local: string;
  readonly peer: string;
}): string {
  const kind =
    socket.protocol !== 'UNIX'
      ? socket.protocol.toLowerCase()
      : ({ SOCK_DGRAM: 'unix dgram', SOCK_SEQPACKET: 'unix seqpacket' }[socket.type] ?? 'unix');
  const named = (address: string) =>
    address === '*'
      ? ''
      : escapeText(address.startsWith('@') ? address.replace(/@+$/, '') : address);
  const [local, peer] = [named(socket.local), named(socket.peer)];
  if (socket.protocol === 'UNIX') return `${kind} ${local || (peer ? `← ${peer}` : 'unnamed')}`;
  return /:\*$/.test(peer) ? `${kind} ${local}` : `${kind} ${local} ← ${peer}`;
}
