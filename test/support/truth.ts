import { expect } from 'vitest';
import type { SkbJson } from '../../src/contracts/sockets.js';
import type { Role } from './lab.js';

type Answer = Pick<SkbJson, 'queues'> & { readonly socket: Pick<SkbJson['socket'], 'inode' | 'netns' | 'state'> };

/**
 * Compares an answer about a role's socket with what its process built and what its kernel reported.
 * Roles of kind `socket` only.
 */
export function expectTruth({ name, skbs, bytes, socket }: Role, answer: Answer): void {
  expect(answer.socket.inode, name).toBe(socket?.inode);
  expect(answer.socket.netns, name).toBe(socket?.netns);
  const { receive, outOfOrder, error, write, retransmit } = answer.queues;
  if (skbs !== null) expect(receive?.skbs, name).toBe(skbs);
  if (bytes !== null) expect(receive?.payloadBytes, name).toBe(bytes);
  if (socket?.protocol !== 6 || answer.socket.state === 'LISTEN') return;
  if (socket.unread !== null) {
    expect(receive?.payloadBytes, `${name}: FIONREAD`).toBe(socket.unread);
  }
  const charged = [receive, outOfOrder, error].map((queue) => queue?.truesizeBytes ?? 0);
  expect(
    charged.reduce((sum, one) => sum + one),
    `${name}: SO_MEMINFO's rmem_alloc`,
  ).toBe(socket.meminfo.rmemAlloc);
  const queued = [write, retransmit].map((queue) => queue?.truesizeBytes ?? 0);
  expect(
    queued.reduce((sum, one) => sum + one),
    `${name}: SO_MEMINFO's wmem_queued`,
  ).toBe(socket.meminfo.wmemQueued);
}

/** The guest reports a name byte by byte; kdump-mem reports text if the bytes are UTF-8. */
export function commOf({ comm }: Pick<Role, 'comm'>): string {
  const bytes = Buffer.from(comm, 'latin1');
  const text = bytes.toString('utf8');
  if (Buffer.from(text, 'utf8').equals(bytes)) return text;
  return Array.from(bytes, (byte) => String.fromCharCode(byte < 128 ? byte : 0xdc00 + byte)).join('');
}
