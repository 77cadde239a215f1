import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { KernelError } from '../../../src/base/errors.js';
import type { StructLayout } from '../../../src/kernel/layout.js';
import { readIsf } from '../../../src/kernel/native/foreign-types/isf.js';
import { openTypesFile } from '../../../src/kernel/native/foreign-types/open.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { KernelTypes } from '../../../src/kernel/native/types.js';
import { Dump } from '../../../src/library/dump.js';
import { KERNELS, labKernel } from '../../support/lab.js';
import { askDrgn, dumpFile } from './real-kernels.js';

type DrgnMember = [bitOffset: number, bits: number, bytes: number, count: number, pointer: boolean];

/** A table of Volatility, from drgn: only the offset and size of a member matter. */
function isfOf(structs: Readonly<Record<string, [number, Record<string, DrgnMember>]>>): string {
  const char = { kind: 'base', name: 'char' };
  const fieldOf = ([bit, bits, bytes]: DrgnMember) => {
    const type = { kind: 'array', count: bytes, subtype: char };
    if (bits === 0) return { offset: bit / 8, type };
    const position = bit % 64;
    return {
      offset: (bit - position) / 8,
      type: { kind: 'bitfield', bit_position: position, bit_length: bits, type: char },
    };
  };
  const users = Object.entries(structs).map(([name, [size, members]]) => {
    const fields = Object.entries(members).map(([of, member]) => [of, fieldOf(member)]);
    return [name, { size, kind: 'struct', fields: Object.fromEntries(fields) }];
  });
  return JSON.stringify({
    metadata: { format: '6.2.0' },
    base_types: { char: { size: 1, signed: true, kind: 'char', endian: 'little' } },
    user_types: Object.fromEntries(users),
    enums: {},
    symbols: {},
  });
}

/**
 * Offset and size of each member; members that differ between two structs of one name are left out.
 */
function placesOf(layout: StructLayout): Record<string, readonly unknown[]> {
  const places: Record<string, readonly unknown[]> = {};
  for (const name of layout.members) {
    try {
      const { offset, size, bits } = layout.member(name)!;
      places[name] = bits ? [offset * 8 + bits.offset, bits.size] : [offset * 8, 0, size];
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
  }
  return places;
}

function structOf(types: KernelTypes, name: string): StructLayout | undefined {
  try {
    return types.struct(name);
  } catch (error) {
    if (error instanceof KernelError && error.code === 'unsupported-layout') return undefined;
    throw error;
  }
}

describe.each(KERNELS)('types of %s', (version) => {
  it('are the same from BTF, from DWARF and from a table of Volatility', () => {
    const kernel = openNative({ files: [dumpFile(version, 'kdump-zlib')] });
    const dwarf = new KernelTypes(openTypesFile(labKernel(version).vmlinux).load(), () => []);
    const names = [...new Set(kernel.types.base.names())];
    const folder = mkdtempSync(join(tmpdir(), 'kdump-mem-types-'));
    const list = join(folder, 'names');
    writeFileSync(list, names.filter((_, index) => index % 5 === 0).join('\n'));
    const truth = askDrgn<Parameters<typeof isfOf>[0]>({ name: version, kernel: version }, './layouts.py', list);
    rmSync(folder, { recursive: true });
    const isf = new KernelTypes(readIsf(isfOf(truth)).types, () => []);

    let byDwarf = 0;
    let byIsf = 0;
    for (const name of names) {
      const own = structOf(kernel.types, name);
      if (own === undefined) continue;
      const places = placesOf(own);
      // Structs inside functions are in BTF only.
      const other = structOf(dwarf, name);
      if (other !== undefined) {
        const found = placesOf(other);
        expect([name, other.size], name).toEqual([name, own.size]);
        for (const [member, place] of Object.entries(found))
          expect([name, member, place]).toEqual([name, member, places[member]]);
        byDwarf += Object.keys(found).length;
      }
      if (truth[name] === undefined) continue;
      const table = structOf(isf, name)!;
      // Several structs with that name: drgn uses the first.
      const { length } = Object.keys(places);
      if (table.members.length !== length || table.size !== own.size) continue;
      expect([name, placesOf(table)]).toEqual([name, places]);
      byIsf += length;
    }
    expect(byDwarf).toBeGreaterThan(40_000);
    expect(byIsf).toBeGreaterThan(5_000);
    kernel.close();
  });
});

it.each(['6.1', 'newest'] as const)('answers about %s are the same with DWARF instead of its own BTF', (version) => {
  const files = [dumpFile(version, 'kdump-zlib')];
  const own = new Dump(openNative({ files }));
  const types = openTypesFile(labKernel(version).vmlinux);
  const kernel = openNative({ files, types });
  expect(kernel.provenance).toMatchObject({ types: { source: 'DWARF' }, typesVerified: 'build-id' });
  const other = new Dump(kernel);
  expect(other.memory()).toEqual(own.memory());
  expect(other.sockets()).toEqual(own.sockets());
  expect(other.procs()).toEqual(own.procs());
  own.close();
  other.close();
});
