import { linkSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { flatten } from './dump/extents.js';
import { DumpDirectory } from './dump/file.js';
import { FIXTURES, fixture } from './fixtures.js';

/** Number of dumps of each kind in a tree. */
export interface Planted {
  /** Complete: copies of the fixtures. */
  readonly whole?: number;
  /** Complete dumps as flattened streams. */
  readonly flattened?: number;
  /** Dumps that are truncated at a random place. */
  readonly cut?: number;
  /** Dumps with some changed header bytes. */
  readonly damaged?: number;
  readonly empty?: number;
  /** Text files that are named like dumps. */
  readonly texts?: number;
}

/** A tree of dumps, with a folder for each as kdump makes them, and the files usually next to dumps. */
export class DumpTree extends DumpDirectory {
  /** Paths of the dumps, in the order in which they are read. */
  readonly dumps: readonly string[];

  constructor({ whole = 0, flattened = 0, cut = 0, damaged = 0, empty = 0, texts = 0 }: Planted) {
    super();
    const dumps: string[] = [];
    const folder = (kind: string, index: number): string => {
      const path = join(this.path, `${kind}-${String(index).padStart(3, '0')}`);
      mkdirSync(path);
      dumps.push(join(path, 'vmcore'));
      return join(path, 'vmcore');
    };
    const plant = (kind: string, count: number, bytesOf: (index: number) => Uint8Array | string) => {
      for (let index = 0; index < count; index++) writeFileSync(folder(kind, index), bytesOf(index));
    };
    const fixtureOf = (index: number): Buffer => readFileSync(fixture(FIXTURES[index % FIXTURES.length]!).vmcore);
    // Two names of one file are two dumps, but use disk space only once.
    for (let index = 0; index < whole; index++) {
      const path = folder('whole', index);
      if (index < FIXTURES.length) writeFileSync(path, fixtureOf(index));
      else linkSync(dumps[index % FIXTURES.length]!, path);
    }
    plant('flattened', flattened, (index) => flatten([{ offset: 0, bytes: fixtureOf(index) }]));
    plant('cut', cut, (index) => fixtureOf(index).subarray(0, 20 + index * 4001));
    plant('damaged', damaged, (index) => damage(fixtureOf(index), index));
    plant('empty', empty, () => '');
    plant('text', texts, (index) => `no dump, number ${index}\n`);
    this.dumps = dumps.toSorted();
    writeFileSync(join(dirname(dumps[0]!), 'vmcore-dmesg.txt'), '[    0.000000] Linux version\n');
    symlinkSync('..', join(dirname(dumps[0]!), 'loop'));
  }
}

/** Changes bytes in the header, the sub-header or the first descriptors. */
function damage(bytes: Buffer, index: number): Buffer {
  for (let step = 0; step < 8; step++) {
    const at = (index * 131 + step * 997) % 9000;
    // The magic stays: without it, the file would not be a dump.
    if (at >= 8) bytes[at] = (bytes[at]! + 1 + index) & 0xff;
  }
  return bytes;
}
