import { expect, test } from 'vitest';
import { KernelError } from '../../src/base/errors.js';
import type { Kernel } from '../../src/kernel/kernel.js';
import type { MemberLayout, StructLayout } from '../../src/kernel/layout.js';
import type { SockKind } from '../../src/walk/queues/queue.js';
import { SkbLists } from '../../src/walk/queues/skb-lists.js';
import { FamilyQueues } from '../../src/walk/queues.js';
import { partialKernel } from '../support/made-kernel.js';

const SOCK = 0xffff_8880_0000_1000n;

const LAYOUTS: Readonly<Record<string, readonly string[]>> = {
  sock: ['sk_backlog.rmem_alloc.counter', 'sk_wmem_queued', 'sk_user_data'],
  sk_buff_head: ['next', 'prev', 'qlen'],
  sk_buff: ['next', 'rbnode'],
};

/** A kernel with one sock, each of whose members has the given value. */
function kernelWith(values: Readonly<Record<string, number>>): Kernel {
  const struct = (name: string): StructLayout | undefined => {
    const members = LAYOUTS[name];
    if (!members) return undefined;
    const member = (path: string): MemberLayout | undefined => {
      const index = members.indexOf(path);
      return index < 0 ? undefined : { offset: index * 8, size: 8, type: '', pointer: false };
    };
    return { name, size: 64, members, member };
  };
  const memory = new DataView(new ArrayBuffer(64));
  (LAYOUTS.sock ?? []).forEach((name, index) => {
    memory.setBigUint64(index * 8, BigInt(values[name] ?? 0), true);
  });
  const read = (address: bigint, length: number) => new DataView(memory.buffer, Number(address - SOCK), length);
  return partialKernel({ read, struct });
}

function queuesOf(
  family: string,
  type: string,
  protocol: string,
  state = 'ESTABLISHED',
  values: Readonly<Record<string, number>> = {},
) {
  const kernel = kernelWith(values);
  const kind: SockKind = { sock: SOCK, family, type, protocol, state };
  return new FamilyQueues(kernel, new SkbLists(kernel)).queues(kind);
}

const saysThatItIsUnread = (queues: ReturnType<typeof queuesOf>) => {
  expect(queues.map(({ name }) => name)).toEqual(['own']);
  expect(() => queues[0]?.entries()).toThrow(KernelError);
  expect(() => queues[0]?.entries()).toThrow(/does not support/);
};

test.each([
  ['AF_KCM', 'SOCK_DGRAM', 'KCM'],
  ['AF_RDS', 'SOCK_SEQPACKET', 'RDS'],
  ['AF_TIPC', 'SOCK_RDM', 'TIPC'],
  ['AF_SMC', 'SOCK_STREAM', 'SMC'],
  ['AF_RXRPC', 'SOCK_DGRAM', 'RXRPC'],
  ['AF_CAN', 'SOCK_DGRAM', 'CAN_ISOTP'],
  ['AF_BLUETOOTH', 'SOCK_SEQPACKET', 'L2CAP'],
  ['AF_77', 'SOCK_DGRAM', 'new'],
  ['AF_INET', 'SOCK_STREAM', 'INET_SMC'],
  ['AF_INET6', 'SOCK_DGRAM', 'HOMA'],
])('%s %s %s: reports that its own queues were not read', (family, type, protocol) => {
  saysThatItIsUnread(queuesOf(family, type, protocol));
});

test.each([
  ['AF_NETLINK', 'SOCK_RAW', 'NETLINK'],
  ['AF_KEY', 'SOCK_RAW', 'KEY'],
  ['AF_CAN', 'SOCK_RAW', 'CAN_RAW'],
  ['AF_BLUETOOTH', 'SOCK_RAW', 'HCI'],
  ['AF_INET', 'SOCK_RAW', 'SCTP'],
  ['AF_INET', 'SOCK_RAW', 'RAW'],
  ['AF_INET', 'SOCK_DGRAM', 'ICMP'],
  ['AF_INET6', 'SOCK_DGRAM', 'L2TP/IPv6'],
])('%s %s %s: has only the queues of struct sock', (family, type, protocol) => {
  expect(queuesOf(family, type, protocol)).toEqual([]);
});

test.each(['ESTABLISHED', 'LISTEN'])('SCTP %s: reports unread queues if memory is charged', (state) => {
  const sctp = (values: Readonly<Record<string, number>>) =>
    queuesOf('AF_INET', 'SOCK_SEQPACKET', 'SCTP', state, values);
  expect(sctp({})).toEqual([]);
  saysThatItIsUnread(sctp({ sk_wmem_queued: 217_600 }));
  saysThatItIsUnread(sctp({ 'sk_backlog.rmem_alloc.counter': 1 }));
});
