import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { commandPath } from '../../support/cli.js';
import { writeElf } from '../../support/dump/elf.js';

/** Bytes 0x1234 to 0x1933 of a page; its other bytes are not in the dump. */
const DATA = Uint8Array.from({ length: 0x700 }, (_, at) => (at % 255) + 1);
let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'partial-'));
  const loads = [{ physical: 0x1234n, virtual: 0xffff_8880_0000_1234n, data: DATA }];
  writeFileSync(join(folder, 'vmcore'), writeElf({ loads }));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function read(...args: string[]) {
  const dump = ['--phys', '0x1000', '--length', '4k', '--vmcore', join(folder, 'vmcore')];
  return execa(process.execPath, [commandPath('kdump-mem'), 'read', ...dump, ...args], {
    encoding: 'buffer',
    reject: false,
    stdin: 'ignore',
  });
}

test('read --raw --zero-excluded writes captured bytes, and zeros for the others', async () => {
  const { stdout, stderr } = await read('--raw', '--zero-excluded');
  const expected = new Uint8Array(4096);
  expected.set(DATA, 0x234);
  expect(Buffer.compare(stdout, expected)).toBe(0);
  const words = Buffer.from(stderr).toString();
  expect(words).toContain(`0x1000: ${0x234} bytes not in the dump, shown as zeros`);
  expect(words).toContain(`0x1934: ${0x1000 - 0x934} bytes not in the dump, shown as zeros`);
});

test('read --json reports the same pieces', async () => {
  const { stdout } = await read('--json');
  const { pieces } = JSON.parse(Buffer.from(stdout).toString()) as { pieces: unknown[] };
  expect(pieces).toEqual([
    { address: '0x1000', length: 0x234, missing: 'absent' },
    { address: '0x1234', length: 0x700, bytes: Buffer.from(DATA).toString('hex') },
    { address: '0x1934', length: 0x6cc, missing: 'absent' },
  ]);
});
