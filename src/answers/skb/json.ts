import type { ProcessAnswer, SkbAnswer } from '../../account/skb.js';
import type { SocketAccount } from '../../account/socket.js';
import { hex } from '../../base/util.js';
import { kernelIdentity } from '../../kernel/identity.js';
import { socketEnds } from '../../records/socket-ends.js';
import type { SkbJson, SkbProcessJson } from '../schema.js';

/** Returns the answer to `skb --pid --fd` according to the JSON contract. */
export function skbJson(answer: SkbAnswer): SkbJson {
  return {
    schema: 'kdump-mem.skb/1',
    kernel: kernelIdentity(answer.kernel),
    process: answer.process,
    fd: answer.fd,
    ...accountJson(answer),
    freedIfKilled: answer.freedIfKilled,
    ...(answer.skbs ? { skbs: entriesJson(answer.skbs) } : {}),
    warnings: answer.warnings,
  };
}

/** Returns the answer to `skb --pid` according to the JSON contract. */
export function skbProcessJson(answer: ProcessAnswer): SkbProcessJson {
  return {
    schema: 'kdump-mem.skb-process/1',
    kernel: kernelIdentity(answer.kernel),
    process: answer.process,
    sockets: answer.sockets.map((account) => ({ fds: account.fds, ...accountJson(account) })),
    total: answer.total,
    freedIfKilled: answer.freedIfKilled,
    warnings: answer.warnings,
  };
}

export function accountJson({ socket, queues, total, ownership, unreadBytes }: SocketAccount) {
  const { fileReferences: _, ...identity } = socket;
  return {
    socket: {
      ...identity,
      ...socketEnds(socket, socket.local, socket.peer),
      file: hex(socket.file),
      sock: hex(socket.sock),
    },
    queues,
    total,
    unreadBytes,
    ...ownership,
  };
}

function entriesJson(skbs: NonNullable<SocketAccount['skbs']>): NonNullable<SkbJson['skbs']> {
  return Object.fromEntries(
    Object.entries(skbs).map(([queue, entries]) => [
      queue,
      entries.map((skb) => ({ ...skb, address: hex(skb.address) })),
    ]),
  );
}
