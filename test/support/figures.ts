import { expect } from 'vitest';
import { accountFd, accountProcess } from '../../src/account/skb.js';
import { jsonOf } from '../../src/base/util.js';
import { type SkbJson, type SkbProcessJson, skbProcessSchema, skbSchema } from '../../src/contracts/sockets.js';
import type { Kernel } from '../../src/kernel/kernel.js';
import { asOracle, fromOracle } from './expected.js';
import type { LabDump, Role } from './lab.js';
import { commOf, expectTruth } from './truth.js';

/** Each socket, once for each process that holds it. */
export function compareWithOracle(kernel: Kernel, { oracle }: Pick<LabDump, 'oracle'>): void {
  const answers = new Map<number, SkbProcessJson>();
  const answerOf = (pid: number) => {
    const known = answers.get(pid) ?? jsonOf(accountProcess(kernel, pid));
    answers.set(pid, known);
    return known;
  };
  let compared = 0;
  for (const socket of oracle.sockets) {
    for (const holder of socket.holders) {
      const answer = answerOf(holder.pid);
      const ours = answer.sockets.find(({ fds }) => fds.includes(holder.fd));
      expect(ours, `pid ${holder.pid} fd ${holder.fd}`).toBeDefined();
      if (!ours) continue;
      expect(asOracle(ours), `pid ${holder.pid} fd ${holder.fd}`).toEqual(fromOracle(socket));
      compared++;
    }
  }
  expect(compared).toBeGreaterThan(40);
  for (const answer of answers.values()) {
    expect(answer.warnings).toEqual([]);
    skbProcessSchema.parse(answer);
  }
}

/** Answers of the guest's own kernel to its processes, just before the dump. */
export function compareWithGuest(kernel: Kernel, { truth }: Pick<LabDump, 'truth'>): void {
  for (const role of truth.roles.filter(({ kind }) => kind === 'socket')) {
    const answer = jsonOf(accountFd(kernel, role.pid, role.fd));
    skbSchema.parse(answer);
    expect(answer.process?.comm, role.name).toBe(commOf(role));
    expectTruth(role, answer);
    expectKill(role, answer);
  }
}

/** Sockets that wait in these queues, or in their messages, are freed with them. */
const KEEPERS = ['listener', 'unix-listener', 'rights', 'own-rights', 'nested-rights'];

/**
 * A kill frees nothing that another process has open, whatever dup and threads do. Unread data
 * is freed immediately; unacknowledged data stays for a while.
 */
function expectKill(role: Role, answer: SkbJson): void {
  const { freedIfKilled, total, exclusiveBytes, queues } = answer;
  const processes = new Set(role.holders.map(({ pid }) => pid));
  if (processes.size > 1) {
    expect(freedIfKilled, role.name).toMatchObject({ low: 0, high: 0, toPools: 0 });
    return;
  }
  if (KEEPERS.includes(role.name)) {
    expect(freedIfKilled?.high, role.name).toBeGreaterThan(total.pinnedBytes);
    expect(freedIfKilled?.low, role.name).toBeGreaterThanOrEqual(exclusiveBytes);
    return;
  }
  // The page pool of a driver keeps pages as long as it has room: only pages that nothing else shares are certain.
  const kept = freedIfKilled?.keptByPools ?? { low: 0, high: 0 };
  expect(freedIfKilled?.high, role.name).toBeLessThanOrEqual(total.pinnedBytes - kept.low);
  expect(freedIfKilled?.high, role.name).toBeGreaterThanOrEqual(total.pinnedBytes - (kept.high ?? Number.NaN));
  const sending = (queues.write?.pinnedBytes ?? 0) + (queues.retransmit?.pinnedBytes ?? 0);
  const stays = sending > 0 && queues.receive?.payloadBytes === 0;
  if (stays) expect(freedIfKilled?.low, role.name).toBeLessThan(exclusiveBytes);
  else expect(freedIfKilled?.low, role.name).toBe(exclusiveBytes);
}
