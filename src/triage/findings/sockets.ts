import { inflect } from '../../base/size.js';
import {
  type Declarations,
  type Figure,
  type Of,
  type OfProcess,
  percent,
  process,
  program,
  size,
  text,
  type Words,
} from './declared.js';

/** What sockets pin. From a host an estimate with bounds, and what queues without a payload are charged. */
type Pinned = Of<'pinnedBytes' | 'share'> & Partial<Of<'leastBytes' | 'mostBytes'>>;
type Queued = OfProcess & Pinned & Of<'payloadBytes'> & Partial<Of<'sockets' | 'skbs' | 'chargedBytes' | 'ringBytes'>>;
type Stalled = OfProcess &
  Of<'ageSeconds' | 'pinnedBytes' | 'unreadBytes' | 'windowBytes' | 'fd' | 'holders'> &
  Of<'doing' | 'symbol', string> &
  Partial<
    Of<'leastBytes' | 'mostBytes' | 'threads' | 'others' | 'othersPid' | 'alike'> &
      Of<'sock' | 'local' | 'peer', string>
  >;
type Unread = OfProcess &
  Of<'sockets' | 'unaccepted' | 'unreadBytes' | 'pinnedBytes' | 'peersBytes' | 'ageSeconds'> &
  Partial<Of<'mostBytes' | 'peerPid'> & Of<'local', string>>;

const socketsWords = ({ sockets }: Partial<Of<'sockets'>>): string => `${text(sockets)} ${inflect(sockets, 'socket')}`;

/** On a host the amount is an estimate with bounds. */
const pinned = (of: Pinned): string =>
  of.leastBytes === undefined
    ? `${size(of.pinnedBytes)} (${percent(of.share)} of memory)`
    : `about ${size(of.pinnedBytes)} (${percent(of.share)} of memory${boundsWords(of)})`;
const boundsWords = ({ leastBytes, mostBytes }: Pinned): string =>
  leastBytes == null || leastBytes === mostBytes
    ? ''
    : `; at least ${size(leastBytes)}${mostBytes == null ? '' : `, at most ${size(mostBytes)}`}`;

const askOf = (of: Partial<OfProcess>): string =>
  `Ask the owner of ${of.pid == null ? 'the program' : of.comm == null ? `pid ${text(of.pid)}` : process(of)} why it does not read.`;
/** Others that have the socket open keep it. */
const restart = (holders: Figure | undefined): string =>
  Number(holders ?? 1) > 1
    ? `If memory is short, ending all ${text(holders)} processes that have the socket open frees it, but loses the unread data.`
    : 'If memory is short, restarting it frees the memory, but loses the unread data.';
const POLLING = 'It may have failed to add this socket to its poll set.';
const RESUME = 'Find out who stopped it. kill -CONT PID resumes it, unless that was on purpose.';

const READ_IT =
  'If it is a receive queue: make the process read, or restart it, which frees the memory and discards the unread data. Find out what it waits for, or it happens again.';
const afterPanic = ({ comm }: Partial<OfProcess>): string =>
  `The machine panicked: nothing is left to free in this dump. After its restart, run kdump-mem triage there: if ${comm == null ? 'the process' : text(comm)} leaves sockets unread again, restart it before the memory is gone (the unread data is lost), and report the fault to its owner.`;

export const SOCKETS = {
  'queued-data': {
    words: (of: Queued & Of<'fd'> & Of<'queue' | 'sock' | 'family' | 'protocol', string>) => [
      `Memory pinned by a socket: fd ${text(of.fd)} of ${process(of)} pins ${pinned(of)}.`,
      `${skbsWords(of)}, most in its ${text(of.queue)} queue.`,
    ],
    traits: ['excessive', 'uncounted', 'shortage'],
    means:
      'One socket pins at least 5 % of memory: its process does not read the received data, or its peer does not accept the data to send.',
    known:
      'Every skb of its queues and the pages behind them, counted once (docs/glossary.md, "pinned"). The share is of all RAM.',
    act: (of: Partial<OfProcess & Of<'queue', string>>, panicked: boolean) => {
      if (!/^receive/.test(String(of.queue))) return undefined;
      return panicked ? afterPanic(of) : READ_IT;
    },
    next: READ_IT,
    deeper: 'kdump-mem skb --sock ADDRESS',
  },
  'queued-data-of-process': {
    words: (of: Queued & Of<'sockets'> & Partial<Of<'freedIfKilledBytes' | 'ringBytes'>>) => [
      isMostlyRings(of)
        ? `Memory pinned by sockets: packet rings of ${process(of)} occupy ${size(of.ringBytes)} (${percent(of.share)} of memory).`
        : `Memory pinned by sockets: ${socketsWords(of)} of ${process(of)} ${inflect(of.sockets, 'pins', 'pin')} ${pinned(of)}.`,
      ...queued(of),
      ...(of.ringBytes && !isMostlyRings(of) ? [`Packet rings are ${size(of.ringBytes)} of it.`] : []),
      ...(of.leastBytes !== undefined || of.freedIfKilledBytes === undefined
        ? []
        : [
            of.freedIfKilledBytes === null
              ? `What killing pid ${text(of.pid)} would have freed is unknown.`
              : `Killing pid ${text(of.pid)} would have freed at least ${size(of.freedIfKilledBytes)}, and lost the unread data.`,
          ]),
    ],
    traits: ['excessive', 'uncounted', 'shortage'],
    means:
      'The queues of one process’s sockets pin at least 5 % of memory together, though none of them does alone. Small unread messages pin complete pages of the driver.',
    known:
      'Every skb of their queues and the pages behind them, counted once for all of them (docs/glossary.md, "pinned"). The share is of all RAM.',
    act: (of: Queued, panicked: boolean) => (isMostlyRings(of) ? undefined : panicked ? afterPanic(of) : READ_IT),
    next: READ_IT,
    deeper: 'kdump-mem skb --pid N',
  },
  'queued-data-of-machine': {
    words: (of: Queued & Of<'sockets'>) =>
      of.leastBytes !== undefined
        ? `Memory pinned by sockets: ${text(of.sockets)} sockets without a known process pin ${pinned(of)}.`
        : [
            `Memory pinned by sockets: the ${text(of.sockets)} sockets of the machine pin ${pinned(of)}.`,
            ...queued(of),
            `The largest part, ${size(of.mostBytes)}, is ${of.pid === null ? 'in sockets without a process' : `held by ${process(of)}`}.`,
          ],
    traits: ['excessive', 'uncounted', 'shortage'],
    means:
      'All sockets together pin at least 5 % of memory, though no single socket or process does. Many workers do not read, or no process has these sockets open (unaccepted, orphaned, in a message).',
    known:
      'Every skb of every queue and the pages behind them, counted once. The share is of all RAM; memory reported for single sockets and processes is subtracted first.',
    next: 'List the sockets by process, cgroup or port. Many workers of one program have one cause.',
    deeper: 'kdump-mem sockets --by cgroup',
  },
  'orphaned-sockets': {
    words: (of: Queued & Of<'sockets' | 'retries' | 'maxOrphans'> & Of<'peer', string>) => [
      `Orphaned TCP sockets: ${socketsWords(of)} without a process ${inflect(of.sockets, 'pins', 'pin')} ${pinned(of)}.`,
      `${inflect(of.sockets, 'It was', 'They were')} closed here with data that ${text(of.peer)} has not acknowledged.`,
      `The kernel frees an orphan after ${of.retries == null ? 'tcp_orphan_retries retransmissions' : `${text(of.retries)} retransmissions (tcp_orphan_retries${of.retries === 8 ? '; 0 means 8' : ''})`} without an answer${of.maxOrphans == null ? '' : `, and allows ${text(of.maxOrphans)} (tcp_max_orphans)`}; ss -K frees it now, and resets the connection.`,
    ],
    traits: ['excessive', 'uncounted', 'shortage'],
    means:
      'TCP sockets that their process closed, or that outlived it, keep data that the peer has not acknowledged. The kernel sends it on without any process. If the peer is silent, it gives up after `retries` retransmissions (tcp_orphan_retries, where 0 means 8), which takes minutes.',
    known:
      'Rows of ss without an inode whose state is closed on this side (FIN-WAIT-1, LAST-ACK, CLOSING), and their skmem. `peer` is that of the socket that pins most. `maxOrphans` is tcp_max_orphans: null where it is not readable.',
    next: 'Find out why the program closes connections that its peers do not read. skcheck prints the command that frees them now (ss -K, as root): it resets these connections, and their data is lost.',
    deeper: 'skcheck',
  },
  'sockets-in-flight': {
    words: (of: Queued & Of<'sockets' | 'fd' | 'descriptors'>) => [
      `Sockets in flight: ${socketsWords(of)} that no process has open ${inflect(of.sockets, 'pins', 'pin')} ${pinned(of)}.`,
      `${process(of)} has not received ${text(of.descriptors)} passed descriptors (SCM_RIGHTS) from its unix socket fd ${text(of.fd)}.`,
      ...queued(of),
    ],
    traits: ['excessive', 'uncounted', 'shortage'],
    means:
      'No process has these sockets open, and a process has not received descriptors that were passed to its unix socket (SCM_RIGHTS). The sockets live in that message, with all data that arrives for them, and no tool lists their owner.',
    known:
      'Sockets of ss whose inode is in no /proc/PID/fd, and scm_fds of /proc/PID/fdinfo of unix sockets with unread data (5.6). `descriptors` counts all that wait in that one socket: not each must be a socket.',
    next: 'Find out why the process does not receive from this unix socket. Killing it frees the message and the sockets in it, with their data.',
    deeper: 'skcheck',
  },
  'unlisted-sockets': {
    words: (
      of: OfProcess &
        Of<'sockets'> &
        Partial<
          Of<
            | 'processes'
            | 'openSockets'
            | 'allSockets'
            | 'queuedBytes'
            | 'queuedMostBytes'
            | 'pinnedBytes'
            | 'vsockSockets'
          >
        >,
    ) => [
      `Sockets that ss does not list: ${program(of)} ${text(of.sockets)} ${of.openSockets == null ? 'of them' : `of its ${text(of.openSockets)} sockets`} open.`,
      'Each is unbound, reset by its peer, in a network namespace without a process, or ss cannot list its family.',
      ...(of.vsockSockets
        ? [`Up to ${text(of.vsockSockets)} may be sockets of AF_VSOCK, which ss lists without inodes.`]
        : []),
      ...(of.pinnedBytes ? [`The queues of these sockets pin ${size(of.pinnedBytes)}.`] : []),
      ...(of.queuedMostBytes === undefined
        ? []
        : [
            of.queuedMostBytes === null
              ? 'How much data is queued in them is unknown.'
              : `A reset connection keeps its unread data: ${of.queuedBytes ? `at least ${size(of.queuedBytes)} and ` : ''}at most about ${size(of.queuedMostBytes)} in the ${text(of.allSockets)} such sockets of all programs.`,
          ]),
    ],
    traits: ['uncounted'],
    means:
      'A program has at least 500 sockets open that no table of the kernel lists, or such sockets hold at least 64 MiB. lsof shows them as “can’t identify protocol”. Most often the program does not close sockets whose connection failed or was reset.',
    known:
      'Inodes of sockets in /proc/PID/fd that two listings of ss in all network namespaces lack, while the descriptor stays open. Bytes: `mem` of /proc/net/sockstat for TCP and UDP, less what listed sockets are charged; they include all programs. Null: not readable. ss lists sockets of AF_VSOCK without inodes: a program needs 500 more than these (`vsockSockets`). ss cannot list AF_ALG, and not AF_VSOCK and AF_XDP where vsock_diag and xsk_diag are missing. With kernel memory: TCP sockets in state CLOSE and UDP sockets without a port, and what their queues pin (`pinnedBytes`). Sockets of other families and those in a namespace that only a socket keeps may hold more.',
    next: 'Find out why the program does not close them: a descriptor leak. Closing them, or ending the program, frees what they hold.',
    deeper: 'kdump-mem procs --pid N --fds',
  },
  'stalled-reader': {
    words: stalledWords,
    traits: ['unread'],
    means:
      'A process does not read the data of a TCP connection. No data arrived for 10 s or longer, and either the receive window is 0 or much memory is pinned. `ageSeconds` is the age of the newest unread data; the rest is older. The fields `doing` and `symbol` describe the thread that is closest to reading: where it waits, not why.',
    known:
      'icsk_ack.lrcvtime of the connection against jiffies, rcv_wup + rcv_wnd − rcv_nxt (tcp_receive_window, include/net/tcp.h), and the stacks of all threads of the process. The length of a tick: clocksource_jiffies.',
    next: `${askOf({})} ${restart(1)} If it waits for events: ${POLLING} If it is stopped (state T): ${RESUME}`,
    act: ({ doing, holders, ...of }: Stalled, panicked: boolean) => {
      if (doing === 'stopped') return panicked ? undefined : RESUME;
      return doing == null
        ? undefined
        : `${askOf(of)}${doing === 'polling' ? ` ${POLLING}` : ''}${panicked ? '' : ` ${restart(holders)}`}`;
    },
    deeper: 'kdump-mem stacks --pid N',
  },
  'unread-sockets': {
    words: (of: Unread) =>
      of.pinnedBytes == null
        ? queueWords(of)
        : [
            `Unread sockets: ${of.pid == null ? 'an unknown process' : process(of)} is not reading ${socketsWords(of)}. ${unreadTogether(of)}.`,
            ...(of.unaccepted
              ? [
                  `${of.unaccepted === of.sockets ? 'The process has accepted none of them' : `${text(of.unaccepted)} of them ${inflect(of.unaccepted, 'is', 'are')} not accepted`}.`,
                ]
              : []),
            `${size(of.unreadBytes)} of unread data is queued in ${inflect(of.sockets, 'it', 'them')}.`,
            `The newest data${inflect(of.sockets, '', ' of each')} has been queued for at least ${text(of.ageSeconds)} s${shortWords(of)}.`,
          ],
    traits: ['unread'],
    means:
      'A process does not read several sockets, or one that holds little. Together with the send queues of peers on the same machine they pin at least 1 MiB. A warning from 5 % of memory on.',
    known:
      'One sample of ss: the age of the newest data of each TCP connection, and skmem of both ends. `sockets` counts those that are not read, `peersBytes` the send queues of their local peers. `mostBytes` is the upper bound of what the sockets themselves pin; null: unknown.',
    next: 'List them, and find out what the process waits for. Small queues add up when a program opens many connections.',
    act: ({ peersBytes, ageSeconds, ...of }: Partial<Unread>) =>
      // Until it lasts, it need not be a problem.
      isShort({ ageSeconds })
        ? undefined
        : `${askOf(of)} Ending the process frees the memory, but loses the unread data${peersBytes ? ' and what the peers could not send' : ''}, and resets the connections.`,
    deeper: 'skcheck --stale -v',
  },
} satisfies Declarations;

/** By netstat, or ss without -i: nothing shows the age. */
const queueWords = (of: Unread): Words => [
  `Unread sockets: ${size(of.unreadBytes)} of unread data is queued in ${socketsWords(of)} of ${of.pid == null ? 'an unknown process' : process(of)}${of.local == null ? '' : `, most in ${text(of.local)}`}.`,
  'One sample does not show how long it has been queued: sample the same socket again.',
];

/** What the sockets pin, and the send queues of their local peers, which another process may own. */
function unreadTogether({ sockets, pinnedBytes, mostBytes, peersBytes }: Unread): string {
  const it = inflect(sockets, 'It pins', 'They pin');
  if (!peersBytes)
    return `${it} ${peersBytes == null ? '' : 'about '}${size(pinnedBytes)}${mostBytes == null ? '' : `, at most ${size(mostBytes)}`}`;
  const queues = inflect(sockets, 'the send queue of its local peer', 'the send queues of their local peers');
  const most =
    mostBytes == null
      ? ''
      : `; the ${inflect(sockets, 'socket alone pins', 'sockets alone pin')} at most ${size(mostBytes)}`;
  return `${it} about ${size(Number(pinnedBytes) + Number(peersBytes))} together with ${queues}, ${inflect(sockets, 'which only waits', 'which only wait')}${most}`;
}

/** For protocols whose payload the kernel does not report, what it charges. */
function queued(of: Queued): string[] {
  if (of.leastBytes === undefined) return [`${skbsWords(of)}.`];
  return [
    ...(of.payloadBytes ? [`Their queues contain ${size(of.payloadBytes)} of data.`] : []),
    ...(of.chargedBytes
      ? [
          `${of.payloadBytes ? 'Other queues' : 'Their queues'} are charged ${size(of.chargedBytes)}, data and overhead.`,
        ]
      : []),
  ];
}
/** Whether rings, not queues, are most of what a process pins. */
const isMostlyRings = ({ ringBytes, pinnedBytes }: Queued): boolean => Number(ringBytes ?? 0) > Number(pinnedBytes) / 2;
const skbsWords = (of: Queued): string =>
  `${of.sockets === undefined ? 'Its' : 'Their'} queues contain ${size(of.payloadBytes)} of data in ${text(of.skbs)} socket buffers (skbs)${timesWords(of)}`;

/** Small packets keep whole blocks allocated. */
function timesWords({ pinnedBytes, payloadBytes }: Queued): string {
  const times = Math.round(Number(pinnedBytes) / Number(payloadBytes));
  return Number.isFinite(times) && times >= 4 ? `, which occupy ${times} times as much memory` : '';
}

/** What a thread does in a function in which many threads wait. */
const WAITS: readonly (readonly [symbol: RegExp, words: string])[] = [
  [/nanosleep/, 'sleeps'],
  [/^futex_/, 'waits for a futex, a lock of the program'],
  [/^(?:do_wait|kernel_wait4)/, 'waits for a child process'],
  [/^pipe_(?:read|write|wait)|^anon_pipe_/, 'waits for a pipe'],
  [/^inet_csk_(?:accept|wait_for_connect)/, 'waits for new connections'],
];

function waitsWords({ symbol }: Stalled): string {
  const [, words] = WAITS.find(([name]) => name.test(String(symbol))) ?? [];
  return words === undefined ? `waits in ${text(symbol)}` : `${words} (${text(symbol)})`;
}

/** State of the thread that is nearest to reading. */
const DOING: Readonly<Record<string, (of: Stalled) => string>> = {
  stopped: () => 'All its threads are stopped.',
  running: () => 'One of its threads is running.',
  receiving: () => 'One of its threads waits in a receive call, for this socket or another.',
  polling: () =>
    'One of its threads waits for events (poll or epoll): the program is not blocked, but does not read this socket.',
  elsewhere: (of) => `The process ${waitsWords(of)}.`,
};

const isShort = ({ ageSeconds }: { readonly ageSeconds?: Figure | undefined }): boolean =>
  Number(ageSeconds ?? 10) < 10;
const shortWords = (of: Partial<Of<'ageSeconds'>>): string => (isShort(of) ? ', which can be normal below 10 s' : '');

function stalledWords(of: Stalled): Words {
  return [
    `Stalled reader: ${process(of)} is not reading ${of.alike ? `${Number(of.alike) + 1} sockets, fd ${text(of.fd)} among them` : `fd ${text(of.fd)}`}.`,
    `${of.alike ? `In fd ${text(of.fd)}, ` : ''}${size(of.unreadBytes)} is queued and pins ${of.leastBytes === undefined ? '' : 'about '}${size(of.pinnedBytes)}.`,
    `It has been queued for at least ${text(of.ageSeconds)} s${shortWords(of)}.`,
    ...(of.windowBytes === 0 ? ['The receive window is 0: the peer cannot send more.'] : []),
    DOING[String(of.doing)]?.(of) ?? 'The state of its threads is unknown.',
  ];
}
