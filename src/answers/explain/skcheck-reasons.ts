import type { SkcheckReason } from '../skcheck/reasons.js';
import type { Explanations } from './explanation.js';

const TWICE = 'Two samples of the socket.';
const THREADS = 'The states of its threads in /proc/PID/task/*/stat, and /proc/PID/wchan.';
const CPU_TIME =
  'CPU time (/proc/PID/stat) and waiting for it (/proc/PID/schedstat) between the samples.';
const LONGER = 'Take more time between samples (--interval).';
const WHAT_IT_DOES = 'Look at its stack, and at its program.';

/** What a verdict of skcheck rests on, and what the owner of the socket is doing. */
export const SKCHECK_REASONS: Explanations<SkcheckReason['code']> = {
  'consumed-nothing': {
    means: 'Of what came to the socket nothing was read while we watched (watchedMs).',
    known: 'Bytes received less bytes unread (tcp_info, Recv-Q), the same in both samples.',
    next: 'See what its owner does: the reason after this one.',
  },
  consumed: {
    means: 'So much was read (readBytes) while we watched (watchedMs).',
    known: 'Bytes received less bytes unread, more of them in the last sample.',
    next: 'Nothing.',
  },
  'consumed-part': {
    means:
      'Less was read (readBytes) than waited when we began, while more came (receivedBytes): the rest of what waited waits still.',
    known: 'Bytes received and bytes unread in both samples.',
    next: 'Compare the two; watch longer to see whether the queue grows.',
    deeper: 'skcheck --watch',
  },
  'newest-data': {
    means: 'The newest data came so long ago (ageMs), and all that is unread is older still.',
    known: 'One sample: `lastrcv` of tcp_info.',
    next: 'Take two samples: one cannot tell a slow reader from one that stopped.',
  },
  'came-since': {
    means: 'The queue was empty at the first sample: what waits came after it, while we watched.',
    known: TWICE,
    next: LONGER,
  },
  'nobody-ran': {
    means:
      'The queue stayed as it was, and who could have changed it did not run: its reader, who writes to it, or now the one and now the other (side). Where holdersComplete is false, a process that is not shown to this user may have it open too.',
    known: 'CPU time of all threads of those who have it open, and of the other end’s.',
    next: 'See what the owner does. Run as root where holdersComplete is false.',
  },
  'partly-still': {
    means:
      'The queue never got shorter, and for a part of the time (stillMs) nobody ran who could have changed it.',
    known: 'Several samples, and the CPU time of both sides between them.',
    next: LONGER,
  },
  'queue-was-read': {
    means: 'Its queue got shorter: somebody reads.',
    known: TWICE,
    next: 'Nothing.',
  },
  'both-ran': {
    means:
      'Data waited in both samples, but its owner ran in between, so that it may be other data; the kernel does not count what such a socket (protocol) reads.',
    known: 'CPU time of both sides between the samples.',
    next: LONGER,
    deeper: 'skcheck --interval 10 -v',
  },
  'acknowledged-nothing': {
    means:
      'Of what was sent or is to be sent (unsentBytes) the peer acknowledged nothing. windowClosed: it answers, and has no room since its process does not read. Else it does not answer. `expired` counts probes, or retransmissions.',
    known: 'bytes_acked and the timer of the socket in both samples (tcp_info).',
    next: 'windowClosed: look at the process on the other host. Else look at the path to it.',
  },
  'accepted-nothing': {
    means: 'So many connections (waiting) wait at a listener that took none while we watched.',
    known: 'The same connections are in its accept queue in both samples.',
    next: 'See what the process of the listener does.',
  },
  'backlog-full': {
    means:
      'As many connections wait to be accepted (waiting) as the listener lets wait (limit); so many more were refused between the samples (refused).',
    known: 'Recv-Q and Send-Q of the listener, and its drop counter.',
    next: 'Accept faster, or raise the backlog (listen(), net.core.somaxconn).',
  },
  dropped: {
    means:
      'So many packets (packets) were dropped. Where the queue (queueBytes) is near its limit (limitBytes) it is full; else it was for a time, or the packets were invalid (checksum, filter).',
    known: 'The socket’s drop counter (sk_drops) in both samples.',
    next: 'See whether its process has the CPU time it needs.',
  },
  'dropped-besides': {
    means: 'Besides, so many packets (packets) were dropped at this socket while we watched.',
    known: 'The socket’s drop counter (sk_drops) in both samples.',
    next: 'Take it for a consequence of what stands before it.',
  },
  'dropped-before': {
    means:
      'So many packets (packets) were dropped at this socket before the first sample and none since (watchedMs), so that they are history. Null: one sample, or a socket that the first one lacks, does not show when.',
    known: 'The socket’s drop counter (sk_drops), which did not move.',
    next: 'Take more time between samples (--interval) where drops come in bursts.',
  },
  'local-peer': {
    means:
      'The other end of the connection is a socket of this host: descriptor peerFd of process peerPid (peerComm; null: not known). Its send queue holds so much (unsentBytes), which pins about likelyPinnedBytes until the reader reads or exits.',
    known:
      'A socket with the same two addresses swapped; its Send-Q and what it is charged (skmem w).',
    next: 'Add it to what the reader pins: killing the reader frees both.',
  },
  'waits-for-each-other': {
    means:
      'Both ends are on this host, and each waits for the other to read. The other one is peerInode, of pid peerPid (null: not known).',
    known: 'Unread data at both ends in both samples, none of it read.',
    next: 'Look at the stacks of both processes. Ending one frees the other.',
  },
  'no-holder': {
    means: 'Data waited in both samples, and nobody is known who could have read it.',
    known: 'Links of /proc/PID/fd, as far as they are shown.',
    next: 'Run as root.',
  },
  'no-tcp-info': {
    means:
      'It is not told what the socket has received, so that nothing proves whether it is read.',
    known: 'A row of ss without tcp_info.',
    next: 'modprobe tcp_diag, or install a newer iproute2.',
  },
  raced: {
    means:
      'Two figures of one sample contradict each other, since they changed while they were taken.',
    known: 'Bytes received and bytes unread.',
    next: 'Look again.',
  },
  'first-sample-torn': {
    means: 'Lines of the first sample could not be read, and this socket may have been among them.',
    known: 'The form of the lines.',
    next: 'Look again.',
  },
  'one-sample': {
    means: 'There is one sample only, which says nothing about a socket of this kind.',
    known: 'A capture or sosreport with one sample.',
    next: 'Take two samples.',
    deeper: 'skcheck --capture FILE',
  },
  'owner-spins': {
    means:
      'Its process does not read and yet keeps a CPU busy, or wants to: it ran for cpuUsedShare of the time and waited for a CPU for cpuWaitedShare of it (1 is all the time).',
    known: CPU_TIME,
    next: 'See where it spins: perf top -p PID, or the stacks of its threads.',
  },
  'owner-busy': {
    means:
      'Its process reads too little, and is busy for cpuUsedShare of the time (1 is all of it).',
    known: CPU_TIME,
    next: 'See what keeps it busy: perf top -p PID.',
  },
  'owner-lacks-cpu': {
    means:
      'Its process reads too little, and waited for a CPU (cpuWaitedShare of the time) more than it ran on one (cpuUsedShare).',
    known: CPU_TIME,
    next: 'See who has the CPUs, and the limits of its cgroup (cpu.max, cpu.stat).',
  },
  'owner-stopped': {
    means: 'All threads of its process are stopped, as SIGSTOP or a shell’s Ctrl-Z does.',
    known: THREADS,
    next: 'kill -CONT PID lets it go on.',
  },
  'owner-traced': {
    means: 'Its process is stopped by a debugger or tracer.',
    known: THREADS,
    next: 'Let the debugger go on, or end it. TracerPid in /proc/PID/status is its pid.',
  },
  'owner-frozen': {
    means: 'Its process is frozen by its cgroup.',
    known: THREADS,
    next: 'Thaw it: echo 0 > cgroup.freeze, or docker unpause.',
  },
  'owner-runs': {
    means: 'The main thread of its process runs, or could; it has so many threads.',
    known: THREADS,
    next: WHAT_IT_DOES,
  },
  'owner-blocked': {
    means:
      'The main thread of its process is blocked in the kernel and cannot be killed meanwhile; waitsIn is the function, null where it is not shown.',
    known: THREADS,
    next: 'See what that waits for: mostly a disk, or a file system of another host.',
  },
  'owner-sleeps': {
    means:
      'The main thread of its process sleeps in the function waitsIn (null where it is not shown). It may wait for something else than this socket.',
    known: THREADS,
    next: WHAT_IT_DOES,
  },
  'owner-ended': {
    means: 'The main thread of its process has ended; others that it has may still run.',
    known: THREADS,
    next: 'See whether the process is a zombie that waits for its parent.',
  },
  'owner-in-state': {
    means: 'The main thread of its process is in a state that we do not know.',
    known: THREADS,
    next: 'See proc(5) for the letter.',
  },
  'owner-untold': {
    means: 'A process has it open, and what that does is not shown, or it ended meanwhile.',
    known: 'No states of threads could be read.',
    next: 'Look again, as root.',
  },
  'in-accept-queue': {
    means:
      'Nobody has accepted it: it waits at a listener that so many processes have open (holders). With more listeners than one at its port it is not told at which of them.',
    known: 'The listener of its port, and who has that open.',
    next: 'See what the process of the listener does. Ending it, or accepting, frees the memory.',
  },
  unaccepted: {
    means: 'Nobody has accepted it, and its listener is not known.',
    known: 'It has no inode.',
    next: 'Look for who listens at its port.',
  },
  orphan: {
    means: 'No process has it open any more: the kernel sends what is left, or gives up.',
    known: 'It has no inode, and its state is one after close().',
    next: 'It ends by itself (net.ipv4.tcp_orphan_retries, tcp_fin_timeout).',
    deeper: 'skcheck --exact',
  },
  'owner-not-shown': {
    means: 'Processes are not shown to this user, and one of them may have it open.',
    known: '/proc/PID/fd that could not be listed.',
    next: 'Run as root; in a container with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, without AppArmor’s profile.',
  },
  'owner-not-found': {
    means: 'All processes here are shown, and none of them has it open.',
    known: 'Links of /proc/PID/fd.',
    next: 'Look on the host instead of in a container (hostPID); it may also be on its way in a message.',
    deeper: 'skcheck --exact',
  },
  'descriptors-grew': {
    means:
      'The process had more open descriptors in each of so many samples, from `from` to `to`, while we watched (watchedMs).',
    known: 'Links of /proc/PID/fd, counted in each sample.',
    next: 'See what they are (ls -l /proc/PID/fd).',
  },
  'ended-since': {
    means: 'The process has ended since, so that its name is not known.',
    known: '/proc/PID is gone.',
    next: 'Nothing: its descriptors are closed.',
  },
};
