import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Guest } from '../../../scripts/lab-parts/guest.mjs';
import { machineProgram } from '../../../scripts/lab-parts/programs.mjs';
import { bootScenario, settledTruth } from '../../../scripts/lab-parts/scenario.mjs';
import { type SkcheckReport, skcheckSchema } from '../../../src/report/skcheck-schema.js';
import { labKernel, type Truth } from '../../support/lab.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const SKCHECK = `${ROOT}dist/package/skcheck`;

// The one executable, in a guest that has no node.
describe.each(['6.1'] as const)('skcheck in a live guest of %s', (kernel) => {
  let guest: Guest;
  let truth: Truth;

  beforeAll(async () => {
    labKernel(kernel);
    const made = spawnSync(`${ROOT}scripts/package`, ['skcheck'], { encoding: 'utf8' });
    if (made.status !== 0) throw new Error(made.stderr);
    const ss = spawnSync('sh', ['-c', 'command -v ss'], { encoding: 'utf8' }).stdout.trim();
    guest = await bootScenario({
      kernel,
      memoryMiB: 1024,
      files: [
        ...machineProgram(SKCHECK),
        ...machineProgram(ss),
        { path: 'bin/skcheck', data: `#!/bin/sh\nexec ${SKCHECK} "$@"\n` },
      ],
      limitMs: 240_000,
    });
    truth = await settledTruth(guest);
  }, 180_000);

  afterAll(() => guest?.kill());

  async function skcheck(args: string): Promise<SkcheckReport> {
    const { output } = await guest.run(`skcheck ${args} --json 2>/tmp/stderr || true`, {
      timeoutMs: 120_000,
    });
    return skcheckSchema.parse(JSON.parse(output.toString()));
  }

  test('names the readers that have stopped, and counts what they hold within its own bounds', async () => {
    expect((await guest.run('command -v node || echo none')).output.toString().trim()).toBe('none');
    const estimated = await skcheck('--stale');
    const counted = await skcheck('--stale --exact');
    const starving = truth.roles.find(({ name }) => name === 'starving');
    const found = counted.sockets.find(({ inode }) => inode === starving?.socket?.inode);
    expect(found).toMatchObject({
      pid: starving?.pid,
      unreadBytes: starving?.socket?.unread,
      stalled: { verdict: 'stalled-reader', certainty: 'proved' },
      counted: { complete: true },
    });
    // Also those that no process holds: connections that nobody accepted.
    const waiting = counted.sockets.filter(({ holders }) => holders.length === 0);
    expect(waiting.length).toBeGreaterThanOrEqual(3);
    for (const { local, counted: count, inode } of counted.sockets)
      expect([local, inode, count]).toEqual([local, inode, expect.objectContaining({})]);
    let compared = 0;
    for (const { inode, counted: count, unreadBytes } of counted.sockets) {
      const guess = estimated.sockets.find((each) => each.inode === inode);
      if (!guess || guess.unreadBytes !== unreadBytes || !count?.complete || guess.unsentBytes > 0)
        continue;
      const what = `${guess.protocol} ${guess.local} inode ${inode}`;
      expect(guess.pinned.low, what).toBeLessThanOrEqual(count.pinnedBytes);
      expect(guess.pinned.high, what).toBeGreaterThanOrEqual(count.pinnedBytes);
      compared++;
    }
    expect(compared).toBeGreaterThan(10);
  });
});
