import { copyFileSync, existsSync, readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ReadError } from '../../../src/base/errors.js';
import type { MemoryImage } from '../../../src/kernel/native/image/image.js';
import { openImage } from '../../../src/kernel/native/image/open.js';
import { DumpDirectory } from '../../support/dump/file.js';
import { LAB, LabMissing, ofRun } from '../../support/lab.js';

const directory = new DumpDirectory();
afterAll(() => directory.dispose());

const dumps = join(LAB, 'dumps');
if (!existsSync(dumps)) throw new LabMissing(dumps, 'dump');
/**
 * Folders with dumps of one guest: the same memory in several formats, one of them a plain ELF
 * core.
 */
const guests = readdirSync(dumps).filter(
  (name) => ofRun([name]).length > 0 && existsSync(join(dumps, name, 'elf.vmcore')) && variants(name).length > 0,
);

/** The other dumps in a guest's folder; the parts of a split dump are together, out of order. */
function variants(guest: string): [string, string[]][] {
  const files = readdirSync(join(dumps, guest)).filter((name) => /\.vmcore(\.\d+)?$/.test(name));
  const byName = new Map<string, string[]>();
  for (const file of files) {
    const name = file.replace(/\.\d+$/, '');
    byName.set(name, [join(dumps, guest, file), ...(byName.get(name) ?? [])]);
  }
  byName.delete('elf.vmcore');
  return [...byName];
}

interface Comparison {
  same: number;
  different: number;
  errors: Record<string, number>;
}

/** Compares each 4 KiB of the reference with the other image. */
function compare(reference: MemoryImage, other: MemoryImage): Comparison {
  const result: Comparison = { same: 0, different: 0, errors: {} };
  for (const { start, end } of reference.facts.physicalRanges) {
    for (let at = Math.ceil(start / 4096) * 4096; at + 4096 <= end; at += 4096) {
      let view: DataView;
      try {
        view = other.readPhysical(at, 4096);
      } catch (error) {
        if (!(error instanceof ReadError)) throw error;
        result.errors[error.code] = (result.errors[error.code] ?? 0) + 1;
        continue;
      }
      if (bytes(reference.readPhysical(at, 4096)).equals(bytes(view))) result.same++;
      else result.different++;
    }
  }
  return result;
}

function bytes(view: DataView): Buffer {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength);
}

describe.each(guests)('the dumps of %s', (guest) => {
  it.each(variants(guest))('%s contains the same memory', (name, files) => {
    const reference = openImage([join(dumps, guest, 'elf.vmcore')]);
    const image = openImage(files);
    const { same, different, errors } = compare(reference, image);
    expect(different).toBe(0);
    // QEMU's dumps and those at level 0 are complete; others report missing pages as filtered.
    const whole = /^kdump-|-d0\./.test(name);
    expect(Object.keys(errors)).toEqual(whole ? [] : ['filtered']);
    expect(same).toBeGreaterThan(10_000);
    expect(image.vmcoreinfo).toBe(reference.vmcoreinfo);
    expect(image.vmcoreinfo).toContain('OSRELEASE=');
    expect(image.facts.machine).toBe(guest.includes('arm64') ? 'aarch64' : 'x86_64');
    expect(image.facts.anomalies).toEqual([]);
    const level = /-d(\d+)\./.exec(name);
    if (level && image.facts.format === 'diskdump') {
      expect(image.facts.dumpLevel).toBe(Number(level[1]));
    }
    const stored = [...image.facts.physicalRanges].reduce((sum, r) => sum + r.end - r.start, 0);
    expect(stored).toBe(same * 4096);
    image.close();
    reference.close();
  });
});

describe('a truncated copy', () => {
  const folder = guests.find((guest) => existsSync(join(dumps, guest, 'lzo-d31.vmcore')));
  if (folder === undefined) throw new LabMissing(join(dumps, '6.1-kdump'), 'dump 6.1-kdump');
  const reference = openImage([join(dumps, folder, 'elf.vmcore')]);
  afterAll(() => reference.close());

  it.each([
    ['lzo-d31.vmcore', 0.6],
    ['lzo-d31.vmcore', 0.05],
    ['flattened-d31.vmcore', 0.6],
    ['elf-d31.vmcore', 0.3],
  ])('%s, %d of it, gives correct bytes or reports "truncated"', (name, part) => {
    const path = join(directory.path, name);
    copyFileSync(join(dumps, folder, name), path);
    truncateSync(path, Math.floor(statSync(path).size * part));
    const image = openImage([path]);
    expect(image.facts.anomalies.join()).toMatch(/truncated \(/);
    const { same, different, errors } = compare(reference, image);
    expect(different).toBe(0);
    expect(same).toBeGreaterThan(100);
    expect(errors.truncated).toBeGreaterThan(1000);
    expect(Object.keys(errors).sort()).toEqual(['filtered', 'truncated']);
    image.close();
  });
});
