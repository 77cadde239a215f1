import type { VerdictCode } from '../../skcheck/verdict.js';
import type { Explanations } from './explanation.js';

/** Verdicts of skcheck; what a verdict rests on is said by answers/skcheck/words.ts. */
export const VERDICTS: Explanations<VerdictCode | 'fd-leak'> = {
  'deadlocked-pair': {
    means:
      'Both ends of a connection are on this host, neither reads, and each waits to be read: nothing ends that but one of the two.',
    known: 'Two samples of both ends: unread data at each, none of it taken.',
    next: 'Look at the stacks of both processes. To end one frees the other; the program must read while it writes.',
    deeper: 'skcheck --stale -v',
  },
  'stalled-reader': {
    means:
      'Who has the socket open takes nothing of what has come: the data stays in kernel memory.',
    known:
      'TCP: bytes received less bytes unread (tcp_info, Recv-Q) are the same in both samples. Others: nobody who has it open ran in between, or its queue stayed the same.',
    next: 'See why: stopped, frozen, blocked or spinning (-v). kill -CONT, unblock or end it.',
    deeper: 'skcheck --stale -v',
  },
  'stalled-sender': {
    means:
      'The peer takes nothing of what was sent, and what is to be sent waits in this host’s memory.',
    known:
      'Nothing was acknowledged between the samples; the persist timer runs (window closed), or retransmissions are not answered (net/ipv4/tcp_timer.c).',
    next: 'Look at the other host: its process does not read, or the path is broken.',
    deeper: 'skcheck -v',
  },
  'never-accepting': {
    means: 'Connections wait at a listener that accepts none, each with what its client has sent.',
    known: 'The same connections are in its accept queue in both samples.',
    next: 'See what the process of the listener waits in.',
    deeper: 'skcheck -v --state LISTEN',
  },
  'backlog-full': {
    means:
      'A listener has as many waiting connections as it lets wait: new ones are dropped, and clients try again.',
    known:
      'Its accept queue beside its limit (Recv-Q and Send-Q of a listener), and LINUX_MIB_LISTENDROPS on that socket.',
    next: 'Is it accepting? Then it is too slow or the backlog (listen(), net.core.somaxconn) too small.',
    deeper: 'skcheck -v --state LISTEN',
  },
  'udp-dropping': {
    means: 'Datagrams are dropped since the socket’s queue is full: who reads does not keep up.',
    known:
      'The socket’s drop counter (sk_drops, `d` of ss -m) moved between the samples. Raw, packet and netlink too.',
    next: 'See whether its process has the CPU time it needs; only then raise its buffer (SO_RCVBUF, net.core.rmem_max).',
    deeper: 'skcheck -v',
  },
  'slow-reader': {
    means:
      'It reads, but less than was waiting when we began: data waits for longer than we watched.',
    known: 'TCP: what it took between the samples is less than what was unread at the first.',
    next: 'Compare in and out in the row (-v); watch longer to see whether the queue grows.',
    deeper: 'skcheck --watch',
  },
  undecided: {
    means: 'There is unread data, and no way to tell whether it is being read. It is no all-clear.',
    known:
      'What the row says (-v): one sample only, both sides ran, or a counter that this kernel or ss lacks.',
    next: 'Take more time between samples, run as root, or count in the kernel’s memory.',
    deeper: 'skcheck --interval 10 -v',
  },
  reading: {
    means: 'It took something: nothing is wrong with it.',
    known:
      'More was taken out of its queue between the samples, or the queue was empty in between.',
    next: 'Nothing.',
  },
  'fd-leak': {
    means:
      'A process has more open descriptors in each sample than in the one before, ten or more in all. A server that fills up after its start looks the same: it is a hint, no proof.',
    known: 'Links of /proc/PID/fd, in three samples or more.',
    next: 'See what they are (ls -l /proc/PID/fd). Sockets whose peer has closed them and whose process has not (CLOSE-WAIT) are the usual kind.',
    deeper: 'skcheck --samples 5 --pid N',
  },
};
