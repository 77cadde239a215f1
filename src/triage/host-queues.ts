import { HostError } from '../base/errors.js';
import { type MessageQueue, messageQueues } from '../host/proc/message-queues.js';
import { mostMemory, possibleOf, whyImpossible } from '../host/proc/possible-amounts.js';
import { startTicks } from '../host/proc/process.js';
import { USER_HZ } from '../records/processes.js';
import { type Finding, found, severityOf } from './finding.js';
import { commIn } from './host-processes.js';
import type { HostReader } from './host-reader.js';
import { THRESHOLDS } from './thresholds.js';

export const QUEUES_HIDE = 'unread messages of System V and POSIX queues';
/** Header of a message (struct msg_msg, include/linux/msg.h): the least that it takes beside its payload. */
const HEADER = 48;

/**
 * Unread messages, which are slab of no process. Other namespaces are entered only if unreclaimable slab is large
 * enough for a finding. @throws {HostError}
 */
export function* unreadMessages(host: HostReader): Generator<Finding> {
  const least = THRESHOLDS['message-queues'].note;
  const isPossible = host.meminfo('SUnreclaim') >= least;
  const missed = (why: string) => {
    if (isPossible) host.miss('message-queues', QUEUES_HIDE, new HostError('unreadable', why));
  };
  const sizeOf = ({ bytes, messages }: MessageQueue) => bytes + HEADER * (messages ?? 0);
  const most = mostMemory(host.counts);
  const listed = messageQueues(host.source, missed, isPossible);
  const queues = possibleOf(listed, (queue) => whyImpossible(`messages of ${queue.name}`, sizeOf(queue), most), missed);
  const bytes = queues.reduce((sum, queue) => sum + sizeOf(queue), 0);
  const [largest] = queues.toSorted((a, b) => sizeOf(b) - sizeOf(a));
  if (!largest || bytes < least) return;
  const total = host.meminfo('MemTotal');
  const sender = ownerOf(host, largest.sender, largest.sentAt);
  const receiver = ownerOf(host, largest.receiver, largest.receivedAt);
  const figures = {
    bytes,
    share: bytes / total,
    queues: queues.length,
    name: largest.name,
    queueBytes: sizeOf(largest),
    messages: largest.messages,
    uid: largest.uid,
    pid: sender.pid,
    comm: sender.comm,
    receiverPid: receiver.pid,
    receiverComm: receiver.comm,
    receiveTime: largest.receivedAt === null ? null : new Date(1000 * largest.receivedAt).toISOString(),
    ...(largest.inside === undefined ? {} : { inside: largest.inside }),
  };
  yield found('message-queues', severityOf(bytes, total) === undefined ? 'note' : 'warning', figures);
}

/** A process that used a queue at a time; its name is unknown if it exited, also if another one has its pid now. */
function ownerOf(host: HostReader, pid: number | null, at: number | null) {
  const comm = pid === null ? null : commIn(host)(pid);
  if (pid === null || comm === null || at === null) return { pid, comm };
  const [, boot] = /^btime (\d{1,12})$/m.exec(host.optional('/proc/stat')) ?? [];
  const ticks = startTicks(host.source, pid);
  // Without both times it may be a later process.
  const isSame = boot !== undefined && ticks !== null && Number(boot) + Number(ticks) / USER_HZ <= at + 2;
  return { pid, comm: isSame ? comm : null };
}
