import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bootGuest, type Guest } from '../../../../scripts/lab-parts/guest.mjs';
import { keptBytesOf } from '../../../../src/kernel/native/image/kept-bytes.js';
import { openNative } from '../../../../src/kernel/native/open.js';
import { answers } from '../../../support/answers.js';
import { kdumpMem } from '../../../support/cli.js';
import { fixture } from '../../../support/fixtures.js';
import { kdumpMemInGuest, MEMORY_MIB } from '../../../support/guest.js';

// An arm64 machine with 16 KiB pages gives the same answers from x86_64 dumps as this machine.
const DUMPS = (['5.10', '6.1', 'newest'] as const).map((name) => ({ name, ...fixture(name) }));
let guest: Guest;

beforeAll(async () => {
  guest = await bootGuest({
    kernel: '6.12-arm64-16k',
    memoryMiB: MEMORY_MIB,
    files: [
      ...kdumpMemInGuest('6.12-arm64-16k'),
      ...DUMPS.map(({ vmcore }) => ({ path: `/${basename(vmcore)}`, from: vmcore })),
    ],
  });
});
afterAll(() => guest?.kill());

describe.each(DUMPS)('on arm64, a dump of x86_64 $name', ({ vmcore, truth }) => {
  const path = `/${basename(vmcore)}`;
  const inGuest = (command: string) =>
    guest.run(`kdump-mem ${command} --vmcore ${path} 2>/dev/null`, { mayFail: true });
  const { pid, fd } = truth.roles.find(({ name }) => name === 'starving')!;
  const { sock } = truth.sockets.find(({ holders }) => holders.some((one) => one.pid === pid))!;

  test.each([
    'info --json',
    `skb --pid ${pid} --fd ${fd}`,
    'sockets --all --json',
    'struct sk_buff',
    `struct sock ${sock} --json`,
    `read ${sock} --length 512`,
  ])('%s', async (command) => {
    const here = await kdumpMem(...command.split(' '), '--vmcore', vmcore);
    const guestRun = await inGuest(command);
    expect(guestRun.status).toBe(here.status);
    expect(guestRun.output.toString().replaceAll(path, vmcore)).toBe(here.stdout);
    expect(here.stdout.length).toBeGreaterThan(100);
  });

  test('extract: its file gives this machine all answers, byte for byte', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'arm64-host-'));
    try {
      const { status } = await inGuest('extract --force -o /small.vmcore');
      expect(status).toBe(0);
      const { output } = await guest.run('cat /small.vmcore');
      const theirs = join(folder, 'theirs.vmcore');
      writeFileSync(theirs, output);
      const ours = join(folder, 'ours.vmcore');
      expect(await kdumpMem('extract', '--vmcore', vmcore, '-o', ours)).toMatchObject({ status: 0 });
      expect(contentOf(theirs)).toEqual(contentOf(ours));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

/** Answers of a dump, and its pages: another zlib may have compressed them differently. */
function contentOf(file: string) {
  const kernel = openNative({ files: [file] });
  try {
    const { image } = kernel;
    const ranges = [...image.facts.physicalRanges];
    return { ...answers(kernel), ranges, kept: [...(keptBytesOf(image.notes ?? [])?.pages ?? [])] };
  } finally {
    kernel.close();
  }
}
