import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openAided } from '../../../src/app/triage/line.js';
import { KernelError } from '../../../src/base/errors.js';
import type { NativeKernel } from '../../../src/kernel/native/kernel.js';
import { symbolFiles } from '../../../src/kernel/native/provenance.js';
import { DumpDirectory } from '../../support/dump/file.js';
import { writeElfFile } from '../../support/elf-file.js';

const ID = '3b43fad5034874490492495d552c0af6a5fab235';
const OTHER = 'ff'.repeat(20);
const RELEASE = '6.1.0-56-cloud-amd64';
const NOTED = { buildId: ID, release: RELEASE };

let folder: DumpDirectory;
beforeEach(() => {
  folder = new DumpDirectory();
});
afterEach(() => {
  folder.dispose();
});

/** @param id none: the file has no build id */
function vmlinux(place: string, id?: string): string {
  const note = Buffer.alloc(16 + 20);
  note.writeUInt32LE(4, 0);
  note.writeUInt32LE(20, 4);
  note.writeUInt32LE(3, 8);
  note.write('GNU\0', 12, 'latin1');
  Buffer.from(id ?? '', 'hex').copy(note, 16);
  const sections = id === undefined ? [] : [{ name: '.note.gnu.build-id', type: 7, bytes: note }];
  return put(place, writeElfFile(sections));
}

function put(place: string, bytes: Uint8Array | string): string {
  mkdirSync(dirname(join(folder.path, place)), { recursive: true });
  return folder.write(place, bytes);
}

test('a matching build id comes first, whatever the file name; a different one is ignored', () => {
  vmlinux(`vmlinux-${RELEASE}`, OTHER);
  const unknown = vmlinux(`${RELEASE}/vmlinux`);
  const renamed = vmlinux(`usr/lib/debug/boot/vmlinux-${RELEASE}`, ID);
  const debug = vmlinux(`.build-id/3b/${ID.slice(2)}.debug`, ID);
  expect(symbolFiles(folder.path, NOTED, 'vmlinux')).toEqual([
    { path: debug, as: 'vmlinux', by: 'build-id' },
    { path: unknown, as: 'vmlinux', by: 'release' },
    { path: renamed, as: 'vmlinux', by: 'build-id' },
  ]);
  const map = put(`boot/System.map-${RELEASE}`, 'ffffffff81000000 T _stext\n');
  expect(symbolFiles(folder.path, NOTED, 'symbols')).toEqual([{ path: map, as: 'symbols', by: 'release' }]);
});

test.each(['../secret', '..', 'a/b', '', 'x'.repeat(300), '6.1\u0000'])(
  'a release that is not a valid file name (%j) finds nothing',
  (release) => {
    const outside = new DumpDirectory();
    outside.write('System.map', '');
    expect(symbolFiles(folder.path, { release }, 'symbols')).toEqual([]);
    expect(symbolFiles(folder.path, { buildId: '../../../..' }, 'symbols')).toEqual([]);
    outside.dispose();
  },
);

type Files = Parameters<Parameters<typeof openAided>[0]>[0];

/** A dump without some symbols or types, which accepts some files. */
function dumpThat(has: (files: Files) => { symbols: boolean; types: boolean }) {
  const attempts: Files[] = [];
  const found = (is: boolean) =>
    is ? { found: true, source: '', detail: '' } : { found: false, code: 'no-symbols', why: 'it is not there' };
  const open = (files: Files) => {
    attempts.push(files);
    const { symbols, types } = has(files);
    return { provenance: { symbols: found(symbols), types: found(types) } } as unknown as NativeKernel;
  };
  return { open, attempts };
}

test('a complete dump needs no file', () => {
  vmlinux(`${ID}/vmlinux`, ID);
  const { open, attempts } = dumpThat(() => ({ symbols: true, types: true }));
  expect(openAided(open, folder.path, NOTED).used).toEqual([]);
  expect(attempts).toEqual([{}]);
});

test('a vmlinux provides both, a System.map and BTF one each', () => {
  const image = vmlinux(`${ID}/vmlinux`, ID);
  const eitherDump = dumpThat(({ vmlinux: file }) => ({ symbols: !!file, types: !!file }));
  expect(openAided(eitherDump.open, folder.path, NOTED).used.map(({ path }) => path)).toEqual([image]);

  const map = put(`System.map-${RELEASE}`, '');
  const btf = put(`${ID}/vmlinux.btf`, '');
  const each = dumpThat(({ symbols, types }) => ({ symbols: !!symbols, types: !!types }));
  const { used, kernel } = openAided(each.open, folder.path, NOTED);
  expect(used.map(({ path, by }) => [path, by])).toEqual([
    [map, 'release'],
    [btf, 'build-id'],
  ]);
  expect(kernel.provenance).toMatchObject({ symbols: { found: true }, types: { found: true } });
});

test('ignores a file that belongs to another kernel', () => {
  put(`System.map-${RELEASE}`, '');
  const right = put(`boot/System.map-${RELEASE}`, '');
  const { open } = dumpThat(({ symbols }) => {
    if (symbols && symbols !== right) throw new KernelError('wrong-vmlinux', 'another');
    return { symbols: symbols === right, types: true };
  });
  expect(openAided(open, folder.path, NOTED).used.map(({ path }) => path)).toEqual([right]);
});

test('without a matching file the dump stays incomplete', () => {
  put(`System.map-${RELEASE}`, '');
  const { open } = dumpThat(() => ({ symbols: false, types: true }));
  const { used, kernel } = openAided(open, folder.path, NOTED);
  expect([used, kernel.provenance.symbols.found]).toEqual([[], false]);
});
