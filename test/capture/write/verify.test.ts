import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { takeSnapshot } from '../../../src/capture/write/snapshot.js';
import { verifySnapshot } from '../../../src/capture/write/verify.js';
import { madeSource, WEB_HOST } from '../../support/made-host.js';
import { tarEntry } from '../../support/tar.js';

const dir = mkdtempSync(join(tmpdir(), 'verify-'));
afterAll(() => rmSync(dir, { recursive: true }));

let archive: Buffer;
/** Its members in tar format: header, content, padding. */
let members: Buffer[];
const END = Buffer.alloc(1024);

beforeAll(async () => {
  const pieces: Buffer[] = [];
  await takeSnapshot(madeSource(WEB_HOST), (bytes) => pieces.push(bytes), {
    parts: new Set(),
    anonymize: false,
    timeoutSeconds: 30,
    intervalMs: 0,
    program: 'test 1',
  });
  archive = Buffer.concat(pieces);
  const tar = gunzipSync(archive);
  members = [];
  for (let at = 0; tar[at] !== 0; ) {
    const size = Number.parseInt(tar.toString('latin1', at + 124, at + 135), 8);
    const end = at + 512 + Math.ceil(size / 512) * 512;
    members.push(tar.subarray(at, end));
    at = end;
  }
});

async function problemsOf(bytes: Buffer): Promise<readonly string[]> {
  const path = join(dir, 'host.tar.gz');
  writeFileSync(path, bytes);
  return (await verifySnapshot(path)).faults.map(({ words }) => words);
}

const packed = (all: readonly Buffer[]) => gzipSync(Buffer.concat([...all, END]));

test('accepts a written snapshot, compressed and uncompressed', async () => {
  expect(await problemsOf(archive)).toEqual([]);
  expect(await problemsOf(packed(members))).toEqual([]);
  expect(await problemsOf(Buffer.concat([...members, END]))).toEqual([]);
  const path = join(dir, 'host.tar.gz');
  expect((await verifySnapshot(path)).files).toBe(members.length - 1);
});

test('counts unreadable host files, but not absent ones', async () => {
  const errors = '/proc/1/fd\tdenied\tx\n/proc/modules\tabsent\tx\n/proc/9/maps\tcut\tx\n';
  const name = (member: Buffer) => member.toString('latin1', 0, member.indexOf(0));
  const at = members.findIndex((member) => name(member).endsWith('/errors'));
  const path = join(dir, 'host.tar.gz');
  writeFileSync(path, packed(members.with(at, tarEntry(name(members[at]!), errors))));
  expect((await verifySnapshot(path)).unread).toBe(2);
  writeFileSync(path, packed(members));
  expect((await verifySnapshot(path)).unread).toBe(0);
});

describe('finds a file in a snapshot that', () => {
  test.each([
    ['is missing', (all: Buffer[], index: number) => all.toSpliced(index, 1)],
    ['occurs twice', (all: Buffer[], index: number) => all.toSpliced(index, 0, all[index]!)],
    [
      'has a changed byte',
      (all: Buffer[], index: number) => {
        const changed = Buffer.from(all[index]!);
        if (changed.length === 512) return null;
        changed[512] = changed[512]! ^ 1;
        return all.with(index, changed);
      },
    ],
    [
      'was not written by kdump-mem',
      (all: Buffer[], index: number) => all.toSpliced(index, 0, tarEntry('kdump-mem-snapshot/sample-1/more', 'x')),
    ],
  ])('%s', async (_, damage) => {
    let tried = 0;
    for (const index of members.keys()) {
      const damaged = damage(members, index);
      if (damaged === null) continue;
      tried++;
      expect((await problemsOf(packed(damaged))).length).toBeGreaterThan(0);
    }
    expect(tried).toBeGreaterThan(20);
  });
});

test('reports a snapshot as incomplete wherever it is truncated', async () => {
  for (let end = 0; end < archive.length; end += 97)
    expect((await problemsOf(archive.subarray(0, end))).length).toBeGreaterThan(0);
});

test('reports any other file as incomplete or unreadable', async () => {
  expect(await problemsOf(Buffer.alloc(5000, 'x'))).toContainEqual(expect.stringContaining('tar'));
  await expect(verifySnapshot(join(dir, 'none'))).rejects.toMatchObject({ code: 'gone' });
  await expect(verifySnapshot(dir)).rejects.toMatchObject({ code: 'unreadable' });
});
