import type { VerdictCode } from '../../skcheck/verdict.js';
import type { Explanations } from './explanation.js';

/** Explanations of skcheck verdicts; answers/skcheck/words.ts prints the evidence for each. */
export const VERDICTS: Explanations<VerdictCode | 'fd-leak'> = {
  'deadlocked-pair': {
    means:
      'Both ends of a connection are on this host, neither reads, and each waits for the other: one of the two must exit or read.',
    known: 'Two samples of both ends: unread data at each, none of it read.',
    next: 'Compare the stacks of both processes. Killing one unblocks the other; the program must read while it writes.',
    deeper: 'skcheck --stale -v',
  },
  'stalled-reader': {
    means:
      'The process that holds the socket is not reading: received data stays in kernel memory.',
    known:
      'TCP: bytes received minus bytes unread (tcp_info, Recv-Q) did not change between the samples. Others: no holder ran in between, or the queue did not change.',
    next: 'Find the cause (-v): stopped, frozen, blocked or spinning. kill -CONT, unblock or kill it.',
    deeper: 'skcheck --stale -v',
  },
  'stalled-sender': {
    means:
      'The peer is not reading or not answering, and unsent data stays in the memory of this host.',
    known:
      'Nothing was acknowledged between the samples; the persist timer runs (window closed), or retransmissions are not answered (net/ipv4/tcp_timer.c).',
    next: 'Check the other host: its process is not reading, or the network path is broken.',
    deeper: 'skcheck -v',
  },
  'never-accepting': {
    means:
      'The listener accepts no connection; pending connections keep the data their clients sent.',
    known: 'The same connections are in its accept queue in both samples.',
    next: 'Check where the process of the listener is blocked.',
    deeper: 'skcheck -v --state LISTEN',
  },
  'backlog-full': {
    means:
      'The accept queue of a listener is full: new connections are dropped, and clients retry.',
    known:
      'Accept queue and limit (Recv-Q and Send-Q of a listener), and LINUX_MIB_LISTENDROPS on that socket.',
    next: 'Check whether it accepts. If it does, it is too slow or the backlog (listen(), net.core.somaxconn) is too small.',
    deeper: 'skcheck -v --state LISTEN',
  },
  'udp-dropping': {
    means:
      'The kernel drops datagrams because the queue of the socket is full: the reader is too slow.',
    known:
      'The drop counter of the socket (sk_drops, `d` of ss -m) grew between the samples. Raw, packet and netlink too.',
    next: 'Check whether the process gets the CPU time it needs; only then raise its buffer (SO_RCVBUF, net.core.rmem_max).',
    deeper: 'skcheck -v',
  },
  'slow-reader': {
    means:
      'The process reads, but less than was queued at the first sample: data stays unread for longer than the interval.',
    known: 'TCP: bytes read between the samples are fewer than bytes unread at the first.',
    next: 'Compare the two rates in the row (-v); sample for longer to see whether the queue grows.',
    deeper: 'skcheck --watch',
  },
  undecided: {
    means:
      'The socket has unread data, and nothing shows whether it is being read. It may be stalled.',
    known:
      'The reason in the row (-v): only one sample, both sides ran, or a counter that this kernel or ss lacks.',
    next: 'Use a longer --interval, run as root, or count with --exact.',
    deeper: 'skcheck --interval 10 -v',
  },
  reading: {
    means: 'The process read data: the socket is healthy.',
    known: 'Bytes were read between the samples, or the queue was empty in between.',
    next: 'Nothing.',
  },
  'fd-leak': {
    means:
      'A process has more open descriptors in each sample than in the one before, ten or more in total. A server that warms up looks the same: this is a hint, not a proof.',
    known: 'Links in /proc/PID/fd, in three samples or more.',
    next: 'List them: ls -l /proc/PID/fd. Sockets in CLOSE-WAIT, closed by the peer but not by the process, are the usual cause.',
    deeper: 'skcheck --samples 5 --pid N',
  },
};
