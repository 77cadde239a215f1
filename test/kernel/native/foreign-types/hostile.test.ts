import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { KernelError } from '../../../../src/base/errors.js';
import { openTypesFile } from '../../../../src/kernel/native/foreign-types/open.js';
import { KernelTypes } from '../../../../src/kernel/native/types.js';
import { writeElfFile } from '../../../support/elf-file.js';
import { errorOf } from '../../../support/native-errors.js';

const folder = mkdtempSync(join(tmpdir(), 'kdump-mem-hostile-'));
afterAll(() => rmSync(folder, { recursive: true }));

const u16 = (value: number) => [value & 0xff, value >> 8];
const u32 = (value: number) => [...u16(value & 0xffff), ...u16(value >>> 16)];
const text = (value: string) => [...Buffer.from(`${value}\0`, 'latin1')];

/** Attributes: a name and a form each, an implicit constant after its form. */
const ABBREVIATIONS = [
  // A unit: str_offsets_base, language; the index of an address list and 16 bytes to skip.
  1, 0x11, 1, 0x72, 0x17, 0x13, 0x05, 0x11, 0x1b, 0x52, 0x1e, 0, 0,
  // A struct: name by index, size; a member: name, type, offset as an implicit constant of 4.
  2, 0x13, 1, 0x03, 0x25, 0x0b, 0x0b, 0, 0, 3, 0x0d, 0, 0x03, 0x08, 0x49, 0x10, 0x38, 0x21, 4, 0, 0, 4, 0x0d, 0, 0x03,
  0x08, 0x49, 0x13, 0, 0,
  // int, and a pointer whose target is a LEB128 number.
  5, 0x24, 0, 0x03, 0x0e, 0x0b, 0x0b, 0x3e, 0x0b, 0, 0, 6, 0x0f, 0, 0x49, 0x15, 0, 0,
  // A typedef, a const, and a function whose children are skipped without a sibling attribute.
  7, 0x16, 0, 0x03, 0x08, 0x49, 0x13, 0, 0, 8, 0x26, 0, 0x49, 0x13, 0, 0, 9, 0x2e, 1, 0x03, 0x08, 0, 0, 0,
];
const STRINGS = text('int').concat(text('thing'));
const STRING_NUMBERS = [...u32(8), ...u16(5), ...u16(0), ...u32(4), ...u32(0)];

/** Two units of version 5; a member of the struct in the second has a type of the first. */
function units(): number[] {
  const unit = (entries: number[]) => {
    const body = [...u16(5), 1, 8, ...u32(0), ...entries];
    return [...u32(body.length), ...body];
  };
  const head = [1, ...u32(8), ...u16(0x1d), 3, ...new Array(16).fill(7)];
  const first = 12 + head.length;
  const one = unit([...head, 5, ...u32(0), 4, 5, 0]);
  const functions = [9, ...text('run'), 9, ...text('inner'), 0, 0];
  const struct = first + functions.length;
  const two = unit([
    ...head,
    ...functions,
    2,
    0,
    16,
    3,
    ...text('at'),
    ...u32(first),
    4,
    ...text('self'),
    ...u32(struct + 3 + 8 + 10 + 1),
    0,
    6,
    struct,
    0,
  ]);
  return [...one, ...two];
}

interface Sections {
  readonly info?: readonly number[];
  readonly abbrev?: readonly number[];
  readonly str?: readonly number[];
  readonly offsets?: readonly number[];
}

let files = 0;
function put(bytes: Uint8Array): string {
  const path = join(folder, `file-${files++}`);
  writeFileSync(path, bytes);
  return path;
}

function elf({ info = units(), abbrev = ABBREVIATIONS, str = STRINGS, offsets = STRING_NUMBERS }: Sections) {
  const section = (name: string, bytes: readonly number[]) =>
    ({ name: `.debug_${name}`, type: 1, bytes: Uint8Array.from(bytes) }) as const;
  return writeElfFile([
    section('info', info),
    section('abbrev', abbrev),
    section('str', str),
    section('str_offsets', offsets),
  ]);
}

function typesOf(sections: Sections): KernelTypes {
  return new KernelTypes(openTypesFile(put(elf(sections))).load(), () => []);
}

function failure(sections: Sections): unknown {
  const error = errorOf(() => typesOf(sections));
  expect(error).toBeInstanceOf(KernelError);
  expect(String(error)).not.toContain('\n');
  return error;
}

describe('handwritten DWARF', () => {
  it('is read with indexed names, references across units, and constants in abbreviations', () => {
    const thing = typesOf({}).struct('thing')!;
    expect(thing.size).toBe(16);
    expect(thing.member('at')).toMatchObject({ offset: 4, size: 4, type: 'int' });
    expect(thing.member('self')).toMatchObject({ offset: 0, size: 8, type: 'thing', pointer: true });
  });

  it('yields a one-line error wherever it is truncated', () => {
    const whole = units();
    for (let length = 0; length < whole.length; length++) failure({ info: whole.slice(0, length) });
    for (let length = 0; length < ABBREVIATIONS.length - 40; length++)
      failure({ abbrev: ABBREVIATIONS.slice(0, length) });
  });

  it('is rejected if types contain themselves or a list is unterminated', () => {
    const body = (entries: number[]) => {
      const unit = [...u16(5), 1, 8, ...u32(0), 1, ...u32(8), ...u16(0), 0, ...new Array(16).fill(0), ...entries];
      return [...u32(unit.length), ...unit];
    };
    const at = 12 + 24;
    expect(failure({ info: body([7, ...text('x'), ...u32(at + 7), 8, ...u32(at), 0]) })).toMatchObject({
      message: expect.stringContaining('contains itself'),
    });
    const many = Array.from({ length: 300 }, (_, i) => [8, ...u32(at + 7 + (i + 1) * 5)]).flat();
    expect(failure({ info: body([7, ...text('x'), ...u32(at + 7), ...many, 0]) })).toMatchObject({
      message: expect.stringContaining('nested too deeply'),
    });
  });

  it('is rejected before it is inflated if it claims an excessive size', () => {
    const packed = (claimed: bigint) => {
      const head = Buffer.alloc(24);
      head.writeUInt32LE(1, 0);
      head.writeBigUInt64LE(claimed, 8);
      const bytes = Buffer.concat([head, deflateSync(Uint8Array.from(units()))]);
      return put(writeElfFile([{ name: '.debug_info', type: 1, flags: 0x800n, bytes }]));
    };
    for (const claimed of [1n << 62n, 1n << 30n, 3n])
      expect(errorOf(() => openTypesFile(packed(claimed)).load())).toMatchObject({
        code: 'wrong-vmlinux',
        message: expect.stringContaining('malformed .debug_info'),
      });
  });

  it('yields an error or types if any bytes are changed', () => {
    const bytes = elf({});
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        (damage) => {
          const broken = Uint8Array.from(bytes);
          for (const [at, value] of damage) broken[at] = value;
          try {
            const types = new KernelTypes(openTypesFile(put(broken)).load(), () => []);
            for (const name of types.names()) types.struct(name)?.members.map((one) => types.struct(name)?.member(one));
          } catch (error) {
            if (!(error instanceof KernelError)) throw error;
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
