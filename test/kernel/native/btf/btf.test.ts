import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KernelError } from '../../../../src/base/errors.js';
import { Btf } from '../../../../src/kernel/native/btf/btf.js';
import { KernelTypes } from '../../../../src/kernel/native/types.js';
import { BtfWriter } from '../../../support/btf.js';
import { errorOf } from '../../../support/native-errors.js';

const typesOf = (writer: BtfWriter): KernelTypes => new KernelTypes(Btf.parse(writer.build()), () => []);

describe('BTF', () => {
  it('finds types of all kinds, past records of every size', () => {
    const w = new BtfWriter();
    const int = w.int('int', 4, { signed: true });
    w.enum('colour', { RED: 0, GREEN: 1 });
    w.enum64('wide', { LOW: 1n, HIGH: 0x1_0000_0002n });
    const proto = w.prototype(int, [
      { name: 'a', type: int },
      { name: 'b', type: int },
    ]);
    w.function('work', proto);
    w.section('.data..percpu', 8, [w.variable('counter', int)]);
    w.raw('real', 16, 0, false, 8);
    w.raw('tag', 17, 0, false, int, [0xffffffff]);
    w.forward('nowhere');
    const last = w.struct('last', 4, [{ name: 'x', type: int, bitOffset: 0 }]);
    const btf = Btf.parse(w.build());
    expect(btf.endId).toBe(w.endId);
    expect(btf.find('last')).toEqual([last]);
    expect(btf.find('work')).toEqual([]);
    expect(btf.find('nowhere')).toEqual([]);
    expect(btf.find('las')).toEqual([]);
    expect(btf.find('')).toEqual([]);
  });

  it('locates per-CPU variables, except those with an ambiguous name', () => {
    const w = new BtfWriter();
    const int = w.int('int', 8);
    const [mine, twice, again, other] = ['mine', 'twice', 'twice', 'other'].map((name) => w.variable(name, int)) as [
      number,
      number,
      number,
      number,
    ];
    w.section('.data..percpu', 32, [mine, twice, again, int]);
    w.section('.bss', 8, [other]);
    const found = typesOf(w).perCpuVariables();
    expect(found).toEqual(new Map([['mine', { offset: 0, size: 8 }]]));
  });

  it('reads a longer header of a later kernel', () => {
    const w = new BtfWriter();
    const id = w.struct('x', 0, []);
    expect(Btf.parse(w.build({ headerBytes: 32 })).find('x')).toEqual([id]);
  });

  it('reads types that are not aligned in memory', () => {
    const w = new BtfWriter();
    const id = w.struct('x', 12, []);
    const moved = new Uint8Array(w.build().length + 1);
    moved.set(w.build(), 1);
    expect(Btf.parse(moved.subarray(1)).size(id)).toBe(12);
  });

  it('reads the values of enums, signed and unsigned', () => {
    const w = new BtfWriter();
    w.enum('plain', { ONE: 1, TOP: 0xffffffff });
    w.enum('minus', { NEGATIVE: -1 }, { signed: true });
    w.enum64('wide', { MASK: 0x8000_0000_0000_0001n });
    w.enum64('wide_minus', { NEGATIVE: -2n }, { signed: true });
    w.typedef('plain_t', 1);
    const types = typesOf(w);
    expect(types.enumerators('plain')).toEqual(
      new Map([
        ['ONE', 1n],
        ['TOP', 0xffffffffn],
      ]),
    );
    expect(types.enumerators('minus')).toEqual(new Map([['NEGATIVE', -1n]]));
    expect(types.enumerators('wide')).toEqual(new Map([['MASK', 0x8000_0000_0000_0001n]]));
    expect(types.enumerators('wide_minus')).toEqual(new Map([['NEGATIVE', -2n]]));
    expect(types.enumerators('plain_t')?.get('ONE')).toBe(1n);
    expect(types.enumerators('nothing')).toBeUndefined();
  });

  it('treats enums of an old kernel, which has no sign flag, as signed', () => {
    const w = new BtfWriter();
    w.enum('old', { NEGATIVE: -1 });
    expect(typesOf(w).enumerators('old')).toEqual(new Map([['NEGATIVE', -1n]]));
  });

  it('continues ids and strings of the kernel in a module', () => {
    const base = new BtfWriter();
    const int = base.int('int', 4);
    base.struct('shared', 4, [{ name: 'x', type: int, bitOffset: 0 }]);
    base.string('only_a_name');
    const module = new BtfWriter(base);
    const own = module.struct('of_module', 8, [
      { name: 'first', type: 2, bitOffset: 0 },
      { name: 'second', type: int, bitOffset: 32 },
    ]);
    const named = module.struct('only_a_name', 4, []);
    const kernel = Btf.parse(base.build());
    const btf = Btf.parse(module.build(), kernel);
    expect(own).toBe(kernel.endId);
    expect(btf.find('of_module')).toEqual([own]);
    expect(btf.find('only_a_name')).toEqual([named]);
    const types = new KernelTypes(kernel, () => [{ module: 'm', btf }]);
    expect(types.struct('of_module')?.member('first.x')).toMatchObject({ offset: 0, type: 'int' });
    expect(types.struct('of_module')?.member('second')?.offset).toBe(4);
    expect(types.struct('shared')?.size).toBe(4);
  });

  it('does not list modules if the kernel has the name', () => {
    const w = new BtfWriter();
    w.struct('known', 4, []);
    let listed = 0;
    const types = new KernelTypes(Btf.parse(w.build()), () => {
      listed++;
      return [];
    });
    types.struct('known');
    expect(listed).toBe(0);
    types.struct('unknown');
    types.struct('unknown');
    expect(listed).toBe(1);
  });

  it('merges copies of a struct as far as they agree, and names the member that differs', () => {
    const w = new BtfWriter();
    const int = w.int('int', 4);
    const long = w.int('long', 8);
    const inner = ['x', 'y'].map((name) => w.struct('inner', 4, [{ name, type: int, bitOffset: 0 }]));
    const copy = (hidden: string, at: number, nested: number, types = [long, int]) =>
      w.struct('copied', 32, [
        { name: 'a', type: int, bitOffset: 0 },
        { name: hidden, type: types[0]!, bitOffset: 64 },
        { name: 'moved', type: types[1]!, bitOffset: at },
        { name: 'nested', type: inner[nested]!, bitOffset: 192 },
      ]);
    copy('__UNIQUE_ID_11', 128, 0);
    copy('__UNIQUE_ID_12', 128, 0);
    copy('__UNIQUE_ID_11', 160, 1);
    w.struct('larger', 4, [{ name: 'a', type: int, bitOffset: 0 }]);
    w.struct('larger', 8, [{ name: 'a', type: int, bitOffset: 0 }]);
    for (let times = 0; times < 2; times++) w.struct('same', 4, [{ name: 'a', type: int, bitOffset: 0 }]);
    const types = typesOf(w);
    const copied = types.struct('copied');
    expect(copied).toMatchObject({ name: 'copied', size: 32 });
    expect(copied?.member('a')).toMatchObject({ offset: 0, size: 4 });
    expect(copied?.member('nested')).toMatchObject({ offset: 24, size: 4 });
    expect(copied?.member('absent')).toBeUndefined();
    for (const path of ['moved', 'nested.x', '__UNIQUE_ID_11'])
      expect(errorOf(() => copied?.member(path))).toMatchObject({
        code: 'unsupported-layout',
        message: `copied: 3 definitions with different offsets of member ${path}`,
      });
    expect(errorOf(() => types.struct('larger'))).toMatchObject({
      code: 'unsupported-layout',
      message: 'larger: 2 definitions with different sizes (4 bytes, 8 bytes)',
    });
    expect(types.struct('same')?.member('a')?.offset).toBe(0);
    expect(types.describe('copied')).toHaveLength(3);
  });

  it('selects among structs of one name by a member', () => {
    const w = new BtfWriter();
    const int = w.int('int', 4);
    w.struct('shared', 8, [{ name: 'mine', type: int, bitOffset: 32 }]);
    w.struct('shared', 4, [{ name: 'other', type: int, bitOffset: 0 }]);
    const types = typesOf(w);
    expect(errorOf(() => types.struct('shared'))).toMatchObject({ code: 'unsupported-layout' });
    expect(types.struct('shared{mine}')).toMatchObject({ size: 8 });
    expect(types.struct('shared{mine}')?.member('mine')?.offset).toBe(4);
    expect(types.struct('shared{other}')?.size).toBe(4);
    expect(types.struct('shared{none}')).toBeUndefined();
  });

  it('rejects enums of one name with different values', () => {
    const w = new BtfWriter();
    w.enum('flags', { A: 0, B: 1 });
    w.enum('flags', { A: 0, B: 2 });
    w.enum('same', { A: 0 });
    w.enum('same', { A: 0 });
    const types = typesOf(w);
    expect(errorOf(() => types.enumerators('flags'))).toMatchObject({
      code: 'unsupported-layout',
      message: 'enum flags: several definitions with different values of B',
    });
    expect(types.enumerators('same')).toEqual(new Map([['A', 0n]]));
  });

  it.each([
    ['no bytes', new Uint8Array(0)],
    ['another magic', Uint8Array.from(new BtfWriter().build(), (byte, at) => (at === 0 ? 0 : byte))],
    ['version 2', Uint8Array.from(new BtfWriter().build(), (byte, at) => (at === 2 ? 2 : byte))],
    ['a truncated end', someBlob().subarray(0, someBlob().length - 1)],
  ])('refuses %s', (_, blob) => {
    expect(errorOf(() => Btf.parse(blob))).toMatchObject({ code: 'damaged' });
  });

  it('rejects endless chains and cycles', () => {
    const w = new BtfWriter();
    const self = w.typedef('self', 1);
    const array = w.array(2, 2);
    w.struct('nest', 8, [{ name: '', type: 3, bitOffset: 0 }]);
    const btf = Btf.parse(w.build());
    expect(errorOf(() => btf.resolve(self))).toMatchObject({ code: 'damaged' });
    expect(errorOf(() => btf.size(array))).toMatchObject({ code: 'damaged' });
    const types = new KernelTypes(btf, () => []);
    expect(errorOf(() => types.struct('nest')?.members)).toMatchObject({ code: 'damaged' });
    expect(errorOf(() => types.struct('self'))).toMatchObject({ code: 'damaged' });
  });

  it('bounds structs that double at each level', () => {
    const w = new BtfWriter();
    let inner = w.int('int', 4);
    for (let level = 0; level < 31; level++) {
      inner = w.union('', 4, [
        { name: '', type: inner, bitOffset: 0 },
        { name: '', type: inner, bitOffset: 0 },
      ]);
    }
    w.struct('wide', 4, [{ name: '', type: inner, bitOffset: 0 }]);
    expect(errorOf(() => typesOf(w).struct('wide')?.members)).toMatchObject({ code: 'damaged' });
  });

  it('ends in typed errors for any damage', () => {
    const blob = someBlob();
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(blob.length - 1), fc.nat(255)), { minLength: 1, maxLength: 12 }),
        (damage) => {
          const broken = Uint8Array.from(blob);
          for (const [at, value] of damage) broken[at] = value;
          try {
            exercise(Btf.parse(broken));
          } catch (error) {
            if (!(error instanceof KernelError)) throw error;
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});

function someBlob(): Uint8Array {
  const w = new BtfWriter();
  const int = w.int('int', 4, { signed: true });
  const old = w.int('int', 4, { bits: 3, shift: 1 });
  const list = w.struct('list', 16, [{ name: 'next', type: w.endId + 1, bitOffset: 0 }]);
  w.pointer(list);
  const row = w.array(int, 4);
  const inner = w.union('', 16, [
    { name: 'row', type: row, bitOffset: 0 },
    { name: 'list', type: list, bitOffset: 0 },
  ]);
  w.struct('outer', 40, [
    { name: '', type: inner, bitOffset: 0 },
    { name: 'flags', type: int, bitOffset: 128, bits: 3 },
    { name: 'tail', type: w.typedef('tail_t', w.const(w.array(list, 0))), bitOffset: 160 },
  ]);
  w.struct('oldbits', 8, [{ name: 'three', type: old, bitOffset: 8 }]);
  w.enum('colour', { RED: 0, GREEN: 1 });
  w.function('f', w.prototype(int, [{ name: 'x', type: int }]));
  return w.build();
}

function exercise(btf: Btf): void {
  const types = new KernelTypes(btf, () => []);
  for (const name of ['outer', 'list', 'oldbits', 'tail_t', 'colour']) {
    const layout = types.struct(name);
    for (const member of layout?.members ?? []) layout?.member(member);
    layout?.member('row[3]');
    layout?.member('tail[7].next');
    types.enumerators(name);
    for (const type of types.describe(name)) {
      if (type.kind === 'struct' || type.kind === 'union') type.members();
      if (type.kind === 'enum') type.values();
    }
  }
}
