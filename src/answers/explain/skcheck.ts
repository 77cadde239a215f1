import type { VerdictCode } from '../../skcheck/verdict.js';
import type { SkcheckReason } from '../skcheck/reasons.js';
import type { SkcheckWarning } from '../skcheck/schema.js';
import type { Explanations } from './schema.js';

const TWICE = 'Two samples of the socket.';
const THREADS = 'States of its threads in /proc/PID/task/*/stat, and /proc/PID/wchan.';
const CPU_TIME = 'CPU time (/proc/PID/stat) and run-queue wait (/proc/PID/schedstat) between the samples.';
const LONGER = 'Use a longer --interval.';
const WHAT_IT_DOES = 'Check its stack and its program.';

/** Explanations of the evidence behind a skcheck verdict, and of the state of the owner. */
export const SKCHECK_REASONS: Explanations<SkcheckReason['code']> = {
  'consumed-nothing': {
    means: 'No queued data was read during the sample interval (watchedMs).',
    known: 'Bytes received minus bytes unread (tcp_info, Recv-Q), unchanged between the samples.',
    next: 'Check what the owner is doing: the next reason shows it.',
  },
  consumed: {
    means: 'The process read readBytes bytes during the interval (watchedMs).',
    known: 'Bytes received minus bytes unread grew between the samples.',
    next: 'None.',
  },
  'consumed-part': {
    means:
      'The process read less (readBytes) than was queued at the first sample, while receivedBytes arrived: part of that data is still unread.',
    known: 'Bytes received and bytes unread in both samples.',
    next: 'Compare the two; sample for longer to see whether the queue grows.',
    deeper: 'skcheck --watch',
  },
  'newest-data': {
    means: 'The newest data arrived ageMs ago; all other unread data is older.',
    known: 'One sample: `lastrcv` of tcp_info.',
    next: 'Take two samples: one cannot distinguish a slow reader from a stopped one.',
  },
  'came-since': {
    means: 'The queue was empty at the first sample: the unread data arrived later.',
    known: TWICE,
    next: LONGER,
  },
  'did-not-run': {
    means:
      'The queue did not change, and the processes that could change it did not run: the reader, the writer, or either of them at any moment (side). If holdersComplete is false, a process that is not visible to this user may hold it too.',
    known: 'CPU time of all threads of the holders of both ends.',
    next: 'Check what the owner is doing. Run as root if holdersComplete is false.',
  },
  'partly-idle': {
    means: 'The queue never shrank, and for part of the interval (idleMs) no process that could change it ran.',
    known: 'Several samples, and the CPU time of both sides between them.',
    next: LONGER,
  },
  'queue-was-read': { means: 'The queue shrank: a process is reading.', known: TWICE, next: 'None.' },
  'both-ran': {
    means:
      'Both samples found unread data, but the owner ran in between, so it may be different data. The kernel does not count reads of such a socket (protocol).',
    known: 'CPU time of both sides between the samples.',
    next: LONGER,
    deeper: 'skcheck --interval 10 -v',
  },
  'acknowledged-nothing': {
    means:
      'The peer acknowledged none of unsentBytes (unsent or unacknowledged). If windowClosed is true, the peer answers but has no room because its process is not reading; otherwise it does not answer. `expired` counts probes or retransmissions.',
    known: 'bytes_acked and the timer of the socket in both samples (tcp_info).',
    next: 'windowClosed: check the process on the other host. Otherwise check the network path to it.',
  },
  'accepted-nothing': {
    means: 'The listener accepted no connection during the interval; `waiting` connections are pending.',
    known: 'The same connections are in its accept queue in both samples.',
    next: 'Check what the process of the listener is doing.',
  },
  'backlog-full': {
    means:
      'The accept queue holds as many pending connections (waiting) as its limit; `refused` more were refused between the samples.',
    known: 'Recv-Q and Send-Q of the listener, and its drop counter.',
    next: 'Accept faster, or raise the backlog (listen(), net.core.somaxconn).',
  },
  dropped: {
    means:
      'The kernel dropped `packets` packets. If queueBytes is near limitBytes the queue is full; otherwise it overflowed earlier, or the packets were invalid (checksum, filter).',
    known: 'Drop counter of the socket (sk_drops) in both samples.',
    next: 'Check whether the process gets the CPU time it needs.',
  },
  'waits-for-each-other': {
    means:
      'Both ends are on this host, and each waits for the other to read. The other end is peerInode, held by pid peerPid (null: unknown).',
    known: 'Unread data at both ends in both samples, none of it read.',
    next: 'Compare the stacks of both processes. Killing one unblocks the other.',
  },
  'no-holder': {
    means: 'Both samples found unread data, and no process is known to hold the socket.',
    known: 'Links in /proc/PID/fd, as far as they are visible.',
    next: 'Run as root.',
  },
  'no-tcp-info': {
    means: 'The number of bytes received is unknown, so nothing proves whether the socket is being read.',
    known: 'A row of ss without tcp_info.',
    next: 'modprobe tcp_diag, or install a newer iproute2.',
  },
  raced: {
    means: 'Two figures of one sample contradict each other: they changed while they were read.',
    known: 'Bytes received and bytes unread.',
    next: 'Run skcheck again.',
  },
  'first-sample-torn': {
    means: 'Lines of the first sample were malformed, and this socket may have been among them.',
    known: 'The form of the lines.',
    next: 'Run skcheck again.',
  },
  'one-sample': {
    means: 'There is only one sample, which cannot judge a socket of this kind.',
    known: 'A capture or sosreport with one sample.',
    next: 'Take two samples.',
    deeper: 'skcheck --capture FILE',
  },
  'also-dropped': {
    means: 'The socket also dropped `packets` packets between the samples.',
    known: 'Drop counter of the socket (sk_drops) in both samples.',
    next: 'Treat it as a consequence of the reason before it.',
  },
  'dropped-before': {
    means:
      'The socket dropped `packets` packets before the first sample and none since (watchedMs). watchedMs is null if one sample, or a socket missing from the first one, does not show when.',
    known: 'Drop counter of the socket (sk_drops), which did not change.',
    next: 'Use a longer --interval if drops come in bursts.',
  },
  'local-peer': {
    means:
      'The other end of the connection is a socket on this host: descriptor peerFd of process peerPid (peerComm; null: unknown). Its send queue holds unsentBytes, which pin about likelyPinnedBytes until the reader reads or exits.',
    known: 'A socket with the same two addresses swapped; its Send-Q and its memory charge (skmem w).',
    next: 'Add it to what the reader pins: killing the reader frees both.',
  },
  'owner-spins': {
    means:
      'The process is not reading but keeps a CPU busy: it ran for cpuUsedShare of the time and waited for a CPU for cpuWaitedShare (1 is all the time).',
    known: CPU_TIME,
    next: 'Find where it spins: perf top -p PID, or the stacks of its threads.',
  },
  'owner-busy': {
    means: 'The process reads too slowly and is busy for cpuUsedShare of the time (1 is all of it).',
    known: CPU_TIME,
    next: 'See what keeps it busy: perf top -p PID.',
  },
  'owner-lacks-cpu': {
    means:
      'The process reads too slowly: it waited for a CPU (cpuWaitedShare of the time) longer than it ran (cpuUsedShare).',
    known: CPU_TIME,
    next: 'Check what else uses the CPUs, and the limits of its cgroup (cpu.max, cpu.stat).',
  },
  'owner-stopped': {
    means: 'All threads of the process are stopped, by SIGSTOP or Ctrl-Z in a shell.',
    known: THREADS,
    next: 'kill -CONT PID resumes it.',
  },
  'owner-traced': {
    means: 'A debugger or tracer has stopped the process.',
    known: THREADS,
    next: 'Continue or quit the debugger. TracerPid in /proc/PID/status is its pid.',
  },
  'owner-frozen': {
    means: 'The cgroup freezer has frozen the process.',
    known: THREADS,
    next: 'Thaw it: echo 0 > cgroup.freeze, or docker unpause.',
  },
  'owner-runs': {
    means: 'The main thread of the process is running or runnable; the process has `threads` threads.',
    known: THREADS,
    next: WHAT_IT_DOES,
  },
  'owner-blocked': {
    means:
      'The main thread of the process is in uninterruptible sleep (state D) and cannot be killed until it wakes; waitsIn is the kernel function, null if not visible.',
    known: THREADS,
    next: 'Find what that function waits for: usually a disk or a network file system.',
  },
  'owner-sleeps': {
    means:
      'The main thread of the process sleeps in the function waitsIn (null if not visible). It may be waiting for something other than this socket.',
    known: THREADS,
    next: WHAT_IT_DOES,
  },
  'owner-exited': {
    means: 'The main thread of the process has exited; other threads may still run.',
    known: THREADS,
    next: 'Check whether the process is a zombie that its parent has not reaped.',
  },
  'owner-in-state': {
    means: 'The main thread of the process is in a state unknown to skcheck.',
    known: THREADS,
    next: 'See proc(5) for the letter.',
  },
  'owner-state-unknown': {
    means: 'A process holds the socket, but its state is not visible, or it exited during the sample.',
    known: 'No thread states could be read.',
    next: 'Run skcheck again, as root.',
  },
  'in-accept-queue': {
    means:
      'The connection is not accepted yet: it is pending at a listener held by `holders` processes. If several listeners share the port, it is unknown which of them has it.',
    known: 'The listener on its port, and the processes that hold that listener.',
    next: 'Check what the process of the listener is doing. Killing it, or accepting, frees the memory.',
  },
  unaccepted: {
    means: 'The connection is not accepted yet, and its listener is unknown.',
    known: 'It has no inode.',
    next: 'Find the process that listens on its port.',
  },
  orphan: {
    means: 'No process holds the socket any more: the kernel sends the remaining data, or gives up.',
    known: 'It has no inode, and its state is one after close().',
    next: 'It closes without help (net.ipv4.tcp_orphan_retries, tcp_fin_timeout).',
    deeper: 'skcheck --exact',
  },
  'owner-not-shown': {
    means: 'Some processes are not visible to this user; one of them may hold the socket.',
    known: '/proc/PID/fd that could not be listed.',
    next: 'Run as root; in a container with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, without AppArmor’s profile.',
  },
  'owner-not-found': {
    means: 'All processes here are visible, and none of them holds the socket.',
    known: 'Links of /proc/PID/fd.',
    next: 'Run it on the host rather than in a container (hostPID). The socket may also be in flight in an SCM_RIGHTS message.',
    deeper: 'skcheck --exact',
  },
  'descriptors-grew': {
    means:
      'The number of open descriptors grew in each of `samples` samples, from `from` to `to`, during the interval (watchedMs).',
    known: 'Links in /proc/PID/fd, counted in each sample.',
    next: 'List them: ls -l /proc/PID/fd.',
  },
  exited: {
    means: 'The process has exited, so its name is unknown.',
    known: '/proc/PID is gone.',
    next: 'None: its descriptors are closed.',
  },
};

/** Limits of a skcheck answer, and host limits that are nearly reached. */
export const SKCHECK_WARNINGS: Explanations<SkcheckWarning['code']> = {
  'one-sample': {
    means:
      'There is only one sample: a socket counts as stalled by the age of its newest data, and may be slow instead.',
    known: 'A capture or sosreport with one sample.',
    next: 'Capture with two samples (skcheck --capture).',
    deeper: 'skcheck --capture FILE',
  },
  'owner-unknown': {
    means: 'Sockets have unread data, and their owner is unknown.',
    known: 'Links in /proc/PID/fd, as far as they are visible to this user.',
    next: 'Run as root; in a container with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, without AppArmor’s profile (docs/containers.md).',
    deeper: 'skcheck --exact',
  },
  undecided: {
    means: 'Some sockets with unread data have the verdict undecided.',
    known: 'Verdict `undecided` of each socket.',
    next: 'Use a longer --interval.',
    deeper: 'skcheck --interval 10 -v',
  },
  'row-unreadable': {
    means: 'Malformed lines of ss or /proc/net were skipped: finding no stalled socket does not prove there is none.',
    known: 'The form of each line.',
    next: 'Run skcheck again; if the warning persists, report the line.',
  },
  'row-contested': {
    means: 'Unix sockets were skipped because the name of one imitates the row of another.',
    known: 'Two rows with one inode.',
    next: 'Find the process that binds such names: they are never accidental.',
  },
  'row-left-out': {
    means: 'There are more sockets than one scan reads: the remaining ones were not scanned.',
    known: 'The number of rows.',
    next: 'Scan one network namespace at a time.',
    deeper: 'skcheck --netns NAME',
  },
  'ss-old': {
    means: 'This ss does not report everything: some socket families or drop counters are missing.',
    known: 'Options that ss rejects, and fields that it does not print.',
    next: 'Install a newer iproute2.',
  },
  'no-tcp-info': {
    means: 'ss reported no TCP details, so fewer verdicts are proven.',
    known: 'Rows of TCP without tcp_info: an old ss, or no inet_diag and tcp_diag in the kernel.',
    next: 'modprobe tcp_diag, or install a newer iproute2.',
  },
  'netns-closed': {
    means: 'Some network namespaces could not be entered; their sockets were not scanned.',
    known: 'nsenter, or setns(2), refused.',
    next: 'Run as root with CAP_SYS_ADMIN, with nsenter (util-linux) installed.',
  },
  'netns-hidden': {
    means: 'The network namespaces of some processes are not visible; a namespace that only they use was not scanned.',
    known: 'Links /proc/PID/ns/net, which require PTRACE_MODE_READ (ptrace(2)).',
    next: 'Run as root; in a container with CAP_SYS_PTRACE, without AppArmor’s profile (docs/containers.md).',
  },
  'without-ss': {
    means: 'Sockets were read from /proc/net without ss, which lacks unix queues, data ages and memory charges.',
    known: 'ss is not installed, or --procfs.',
    next: 'Install iproute2.',
  },
  'tcp-orphans': {
    means: 'The number of orphaned TCP sockets is near tcp_max_orphans; above it the kernel resets connections.',
    known: '/proc/net/sockstat and the sysctl (Documentation/networking/ip-sysctl.rst).',
    next: 'Check their send queues, and which peers are not reading.',
    deeper: 'skcheck --exact',
  },
  'time-wait': {
    means: 'The number of TIME-WAIT sockets is near tcp_max_tw_buckets; above it the kernel drops them at once.',
    known: '/proc/net/sockstat of each namespace, and the sysctl.',
    next: 'Reuse connections (keep-alive, a connection pool).',
  },
  'tcp-memory': {
    means: 'TCP memory is near its limits (tcp_mem): under pressure windows shrink, above the limit data is dropped.',
    known: '/proc/net/sockstat and net.ipv4.tcp_mem, in pages.',
    next: 'Find the sockets that hold it before you raise the limit.',
    deeper: 'skcheck --stale',
  },
  'udp-memory': {
    means: 'UDP memory is near its limits (udp_mem): above the limit datagrams are dropped.',
    known: '/proc/net/sockstat and net.ipv4.udp_mem, in pages.',
    next: 'Find the sockets that hold it.',
    deeper: 'skcheck --stale',
  },
  census: {
    means: 'Reserved for the scan of all page frames (--census). No version has reported it so far.',
    known: '/proc/kpageflags and /proc/kpagecount (root).',
    next: 'None.',
  },
  exact: {
    means: '--exact could not count some sockets; they keep estimates.',
    known: 'Reads of /proc/kcore.',
    next: 'Read the message: lockdown and containers forbid /proc/kcore.',
    deeper: 'kdump-mem sockets --live',
  },
  capture: {
    means: 'The capture is incomplete: what is missing in it was not scanned.',
    known: 'The manifest of the capture, compared with its files.',
    next: 'Capture again as root, with enough disk space.',
    deeper: 'skcheck --capture FILE',
  },
};

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
    means: 'The process that holds the socket is not reading: received data stays in kernel memory.',
    known:
      'TCP: bytes received minus bytes unread (tcp_info, Recv-Q) did not change between the samples. Others: no holder ran in between, or the queue did not change.',
    next: 'Find the cause (-v). Stopped: kill -CONT PID, unless that was on purpose. Frozen: thaw its cgroup. Blocked or spinning: find out why before you kill it.',
    deeper: 'skcheck --stale -v',
  },
  'stalled-sender': {
    means: 'The peer is not reading or not answering, and unsent data stays in the memory of this host.',
    known:
      'Nothing was acknowledged between the samples; the persist timer runs (window closed), or retransmissions are not answered (net/ipv4/tcp_timer.c).',
    next: 'Check the other host: its process is not reading, or the network path is broken.',
    deeper: 'skcheck -v',
  },
  'never-accepting': {
    means: 'The listener accepts no connection; pending connections keep the data their clients sent.',
    known: 'The same connections are in its accept queue in both samples.',
    next: 'Check where the process of the listener is blocked.',
    deeper: 'skcheck -v --state LISTEN',
  },
  'backlog-full': {
    means: 'The accept queue of a listener is full: new connections are dropped, and clients retry.',
    known: 'Accept queue and limit (Recv-Q and Send-Q of a listener), and LINUX_MIB_LISTENDROPS on that socket.',
    next: 'Check whether it accepts. If it does, it is too slow or the backlog (listen(), net.core.somaxconn) is too small.',
    deeper: 'skcheck -v --state LISTEN',
  },
  'udp-dropping': {
    means: 'The kernel drops datagrams because the queue of the socket is full: the reader is too slow.',
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
    means: 'The socket has unread data, and nothing shows whether it is being read. It may be stalled.',
    known: 'The reason in the row (-v): only one sample, both sides ran, or a counter that this kernel or ss lacks.',
    next: 'Use a longer --interval, run as root, or count with --exact.',
    deeper: 'skcheck --interval 10 -v',
  },
  reading: {
    means: 'The process read data: the socket is healthy.',
    known: 'Bytes were read between the samples, or the queue was empty in between.',
    next: 'None.',
  },
  'fd-leak': {
    means:
      'A process has more open descriptors in each sample than in the one before, ten or more in total. A server that warms up looks the same: this is a hint, not a proof.',
    known: 'Links in /proc/PID/fd, in three samples or more.',
    next: 'List them: ls -l /proc/PID/fd. Sockets in CLOSE-WAIT, closed by the peer but not by the process, are the usual cause.',
    deeper: 'skcheck --samples 5 --pid N',
  },
};
