import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findDumps } from '../../../src/triage/batch/search.js';
import { diskdumpExtents } from '../../support/dump/diskdump.js';
import { flatten, joinExtents, writeExtents } from '../../support/dump/extents.js';
import { DumpDirectory, pageOf } from '../../support/dump/file.js';
import { fixture } from '../../support/fixtures.js';

let tree: DumpDirectory;
beforeEach(() => {
  tree = new DumpDirectory();
});
afterEach(() => {
  tree.dispose();
});

const memory = new Map([[1, { data: pageOf(1) }]]);
const SMALL = joinExtents(diskdumpExtents({ blocks: 8, memory, release: '6.1.0' }));
const places = (...words: readonly string[]): string[] => findDumps(words).dumps.map(({ place }) => place);

test('finds dumps by their magic, ordered by name', () => {
  for (const folder of ['202611200412', '202611200500', 'b', 'B']) mkdirSync(join(tree.path, folder));
  tree.write('202611200412/vmcore', SMALL);
  tree.write('202611200412/vmcore-dmesg.txt', '[    0.000000] Linux version 6.1.0');
  tree.write('202611200500/dump.202611200500', SMALL);
  tree.write('b/renamed', SMALL);
  tree.write('B/flat', flatten([{ offset: 0, bytes: SMALL }]));
  const core = Buffer.alloc(64);
  core.write('\x7fELF\x02\x01\x01', 'latin1');
  core.writeUInt16LE(4, 16);
  tree.write('b/core', core);
  core.writeUInt16LE(2, 16);
  tree.write('b/program', core);
  const found = findDumps([tree.path]);
  expect(found.dumps.map(({ place }) => place)).toEqual([
    '202611200412/vmcore',
    '202611200500/dump.202611200500',
    'B/flat',
    'b/core',
    'b/renamed',
  ]);
  expect(found.otherFiles).toBe(2);
});

test('lists files that should be dumps, and ignores files next to them', () => {
  tree.write('vmcore', '');
  tree.write('vmcore.gz', Buffer.from('1f8b0800', 'hex'));
  tree.write('vmcore.flat', Buffer.alloc(4096));
  tree.write('dump.202611200500', 'damaged from its first byte on');
  tree.write('vmcore.sha256', 'a text');
  tree.write('empty', '');
  tree.write('notes.gz', Buffer.from('1f8b0800', 'hex'));
  const found = findDumps([tree.path]);
  expect(found.dumps.map(({ place }) => place)).toEqual(['dump.202611200500', 'vmcore', 'vmcore.flat', 'vmcore.gz']);
  expect(found.otherFiles).toBe(3);
});

test('lists each file that is named explicitly once, whatever it contains', () => {
  const text = tree.write('notes.txt', 'nothing');
  const dump = tree.write('dump', SMALL);
  linkSync(dump, join(tree.path, 'hard-link'));
  expect(places(text, tree.path, dump, join(tree.path, '.', 'dump'))).toEqual(['notes.txt', 'dump', 'hard-link']);
});

test('does not follow links in folders or open special files, and terminates at loops', () => {
  const dump = tree.write('vmcore', SMALL);
  symlinkSync('.', join(tree.path, 'loop'));
  symlinkSync('vmcore', join(tree.path, 'link'));
  // Opening it blocks until it has a writer.
  execFileSync('mkfifo', [join(tree.path, 'vmcore.fifo')]);
  const found = findDumps([tree.path]);
  expect(found).toMatchObject({ links: 2, special: 1, otherFiles: 0, unlisted: [] });
  expect(found.dumps.map(({ files }) => files)).toEqual([[dump]]);
  // An explicitly named link means its target.
  expect(places(join(tree.path, 'link'))).toEqual(['link']);
  const [fifo] = findDumps([join(tree.path, 'vmcore.fifo')]).dumps;
  expect(fifo?.unfit?.code).toBe('not-a-dump');
});

test('groups the parts of a split dump, and separates two split dumps in a folder', () => {
  const part = (name: string, timestamp: number, start: number, end: number) =>
    writeExtents(
      join(tree.path, name),
      diskdumpExtents({ blocks: 8, memory, release: '6.1.0', timestamp, split: { start, end } }),
    );
  const all = [part('a1', 1, 0, 4), part('a2', 1, 4, 8), part('b1', 2, 0, 4), part('b2', 2, 4, 8)];
  const { dumps } = findDumps([tree.path]);
  expect(dumps.map(({ files }) => files)).toEqual([all.slice(0, 2), all.slice(2)]);
  const [first] = dumps;
  expect(first).toMatchObject({ dump: all[0], place: 'a1' });
});

test("reports size and time of a file, and a path that is independent of the tree's location", () => {
  mkdirSync(join(tree.path, 'mnt', 'host'), { recursive: true });
  const file = join(tree.path, 'mnt', 'host', 'vmcore');
  copyFileSync(fixture('6.1').vmcore, file);
  const [one] = findDumps([join(tree.path, 'mnt')]).dumps;
  expect(one).toMatchObject({ dump: file, place: 'host/vmcore', size: 2_134_000 });
  expect(Math.abs(Date.now() - (one?.mtime ?? 0))).toBeLessThan(600_000);
});

test('reports a name that is not UTF-8, and a missing file, in a line each', () => {
  const name = Buffer.concat([Buffer.from(join(tree.path, 'vmcore-')), Buffer.of(0xff)]);
  writeFileSync(name, SMALL);
  const [odd] = findDumps([tree.path]).dumps;
  expect(odd?.unfit?.code).toBe('unsupported-name');
  const [gone] = findDumps([join(tree.path, 'gone')]).dumps;
  expect(gone?.unfit?.code).toBe('no-such-file');
});

test('reports an unreadable folder and an unreadable file', () => {
  const file = tree.write('vmcore', SMALL);
  const folder = join(tree.path, 'closed');
  mkdirSync(folder);
  chmodSync(file, 0);
  chmodSync(folder, 0);
  const found =
    process.getuid?.() === 0 ? asNobody(tree.path) : (findDumps([tree.path]) as ReturnType<typeof asNobody>);
  chmodSync(folder, 0o700);
  expect(found.unlisted.map(({ path }) => path)).toEqual([folder]);
  expect(found.dumps.map(({ unfit }) => unfit?.code)).toEqual(['permission']);
});

/** Root can read everything. */
function asNobody(path: string): Pick<ReturnType<typeof findDumps>, 'unlisted' | 'dumps'> {
  chmodSync(path, 0o755);
  process.seteuid?.(65534);
  try {
    return findDumps([path]);
  } finally {
    process.seteuid?.(0);
  }
}

test('counts a dump once if two arguments lead to it', () => {
  mkdirSync(join(tree.path, 'real', 'host'), { recursive: true });
  const file = tree.write('real/host/vmcore', SMALL);
  symlinkSync('real', join(tree.path, 'link'));
  const words = ['real', 'link', 'link/host', 'link/host/vmcore'].map((w) => join(tree.path, w));
  expect(findDumps(words).dumps.map(({ dump }) => dump)).toEqual([file]);
  expect(findDumps(words.slice(1)).dumps.map(({ place }) => place)).toEqual(['host/vmcore']);
});
