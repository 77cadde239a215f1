import { basename } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bootGuest, type Guest } from '../../../../scripts/lab-parts/guest.mjs';
import { kdumpMem } from '../../../support/cli.js';
import { fixture } from '../../../support/fixtures.js';
import { kdumpMemInGuest, MEMORY_MIB } from '../../live/live-guest.js';

// A machine with arm64 answers from dumps of x86_64 what this one does.
const dumps = (['5.10', 'newest'] as const).map((name) => fixture(name));
let guest: Guest;

beforeAll(async () => {
  guest = await bootGuest({
    kernel: '6.12-arm64-16k',
    memoryMiB: MEMORY_MIB,
    files: [
      ...kdumpMemInGuest('6.12-arm64-16k'),
      ...dumps.map(({ vmcore }) => ({ path: `/${basename(vmcore)}`, from: vmcore })),
    ],
  });
}, 120_000);
afterAll(() => guest?.kill());

test.each(dumps)(
  '$truth.release',
  async ({ vmcore, truth }) => {
    const { pid, fd } = truth.roles.find(({ name }) => name === 'starving')!;
    const commands = [
      ['info', '--json'],
      ['skb', '--pid', `${pid}`, '--fd', `${fd}`, '--json'],
      ['struct', 'sk_buff'],
      ['read', 'init_task', '--length', '512'],
    ];
    for (const command of commands) {
      const here = await kdumpMem(...command, '--vmcore', vmcore);
      const path = `/${basename(vmcore)}`;
      const there = await guest.run(`kdump-mem ${command.join(' ')} --vmcore ${path} 2>/dev/null`, {
        timeoutMs: 240_000,
        mayFail: true,
      });
      expect(there.status, command[0]).toBe(here.status);
      expect(there.output.toString().replaceAll(path, vmcore), command[0]).toBe(here.stdout);
      expect(here.stdout.length).toBeGreaterThan(100);
    }
  },
  240_000,
);
