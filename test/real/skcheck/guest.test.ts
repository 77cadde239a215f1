import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Guest } from '../../../scripts/lab-parts/guest.mjs';
import { machineProgram } from '../../../scripts/lab-parts/programs.mjs';
import { bootScenario, settledTruth } from '../../../scripts/lab-parts/scenario.mjs';
import { type SkcheckReport, skcheckSchema } from '../../../src/answers/skcheck/schema.js';
import { isProblem } from '../../../src/skcheck/verdict.js';
import { labKernel, type Truth } from '../../support/lab.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const SKCHECK = `${ROOT}dist/package/skcheck`;

const isWrong = ({ stalled }: SkcheckReport['sockets'][number]) => isProblem(stalled.verdict);

/** Diag modules that ss uses; without them it reads /proc/net, which has fewer facts. */
const DIAG = ['inet_diag', 'tcp_diag', 'udp_diag', 'raw_diag', 'unix_diag', 'af_packet_diag'];

// The single executable, in a guest without node.
describe.each(['6.1'] as const)('skcheck in a live guest of %s', (kernel) => {
  let guest: Guest;
  let truth: Truth;
  let estimated: SkcheckReport;
  let counted: SkcheckReport;

  beforeAll(async () => {
    labKernel(kernel);
    const made = spawnSync(`${ROOT}scripts/package`, ['skcheck'], { encoding: 'utf8' });
    if (made.status !== 0) throw new Error(made.stderr);
    const ss = spawnSync('sh', ['-c', 'command -v ss'], { encoding: 'utf8' }).stdout.trim();
    guest = await bootScenario({
      kernel,
      memoryMiB: 1024,
      modules: DIAG,
      files: [
        ...machineProgram(SKCHECK),
        ...machineProgram(ss),
        { path: 'bin/skcheck', data: `#!/bin/sh\nexec ${SKCHECK} "$@"\n` },
      ],
    });
    truth = await settledTruth(guest);
    estimated = await skcheck('--interval 1');
    counted = await skcheck('--exact --interval 1');
  });

  afterAll(() => guest?.kill());

  async function skcheck(args: string): Promise<SkcheckReport> {
    const { output } = await guest.run(`skcheck ${args} --json 2>/tmp/stderr || true`);
    return skcheckSchema.parse(JSON.parse(output.toString()));
  }

  test('names the stalled readers, and their counts are within its own bounds', async () => {
    expect((await guest.run('command -v node || echo none')).output.toString().trim()).toBe('none');
    const starving = truth.roles.find(({ name }) => name === 'starving');
    const found = counted.sockets.find(({ inode }) => inode === starving?.socket?.inode);
    expect(found).toMatchObject({
      pid: starving?.pid,
      unreadBytes: starving?.socket?.unread,
      stalled: { verdict: 'stalled-reader', certainty: 'proved' },
      counted: { complete: true },
    });
    // Includes connections that were not accepted: their listener's process owns them.
    const listener = truth.roles.find(({ name }) => name === 'listener');
    const waiting = counted.sockets.filter(
      ({ local, state }) => local === listener?.socket?.local && state !== 'LISTEN',
    );
    const said = waiting.map(({ pid, via, unreadBytes }) => ({ pid, via, unreadBytes }));
    const each = { pid: listener?.pid, via: 'accept-queue', unreadBytes: 1000 };
    expect(said).toEqual([each, each, each]);
    for (const { local, inode, counted: count } of counted.sockets.filter(isWrong))
      expect([local, inode, count]).toEqual([local, inode, expect.objectContaining({})]);
    // Includes those in messages, or in io_uring.
    const kept = truth.hidden.filter(({ inode, bytes }) => inode !== null && (bytes ?? 0) > 1);
    expect(kept.length).toBeGreaterThanOrEqual(3);
    for (const { name, inode, bytes } of kept)
      expect([name, counted.sockets.find((each) => each.inode === inode)]).toMatchObject([
        name,
        { holders: [], unreadBytes: bytes, counted: { complete: true } },
      ]);
    let compared = 0;
    for (const { inode, counted: count, unreadBytes } of counted.sockets.filter(isWrong)) {
      const guess = estimated.sockets.find((each) => each.inode === inode);
      if (!guess || guess.unreadBytes !== unreadBytes || !count?.complete || guess.unsentBytes > 0) continue;
      const what = `${guess.protocol} ${guess.local} inode ${inode}`;
      expect(guess.pinned.low, what).toBeLessThanOrEqual(count.pinnedBytes);
      expect(guess.pinned.high, what).toBeGreaterThanOrEqual(count.pinnedBytes);
      compared++;
    }
    expect(compared).toBeGreaterThan(10);
  });

  test('an unacknowledged closed socket is an orphan, found and counted', () => {
    const orphan = truth.hidden.find(({ how }) => how === 'orphan');
    const found = counted.sockets.find(({ local }) => local === orphan?.local);
    expect(found).toMatchObject({
      state: 'FIN-WAIT-1',
      holders: [],
      inode: 0,
      unsentBytes: orphan?.unsent,
      stalled: { verdict: 'stalled-sender', because: expect.stringContaining('no process has it') },
      counted: { complete: true },
    });
    expect(found?.counted?.pinnedBytes).toBeGreaterThan(orphan?.unsent ?? Infinity);
  });

  test("the host's limits: orphans, and memory charged to TCP", async () => {
    const limits = '/proc/sys/net/ipv4';
    const codes = ({ warnings }: SkcheckReport) => warnings.map(({ code }) => code);
    expect(codes(estimated)).not.toContain('tcp-memory');
    expect(codes(estimated)).not.toContain('tcp-orphans');
    await guest.run(`echo 1 > ${limits}/tcp_max_orphans; echo 10 20 100000 > ${limits}/tcp_mem`);
    const after = await skcheck('--interval 0');
    const said = (code: string) => after.warnings.find((each) => each.code === code)?.message;
    expect(said('tcp-orphans')).toMatch(/^\d orphaned TCP sockets?, near or over tcp_max_orphans \(1\)$/);
    expect(said('tcp-memory')).toMatch(
      /^\d[\d,]* pages charged to TCP: under memory pressure from 20 on, limit 100,000 \(tcp_mem\)$/,
    );
  });
});
