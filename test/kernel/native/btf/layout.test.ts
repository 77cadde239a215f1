import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type StructLayout, storageUnit } from '../../../../src/kernel/layout.js';
import { Btf } from '../../../../src/kernel/native/btf/btf.js';
import { KernelTypes } from '../../../../src/kernel/native/types.js';
import { BtfWriter } from '../../../support/btf.js';

function layoutOf(write: (w: BtfWriter) => void, name = 's'): StructLayout {
  const w = new BtfWriter();
  write(w);
  return new KernelTypes(Btf.parse(w.build()), () => []).struct(name)!;
}

describe('layouts from BTF', () => {
  it('resolves members of anonymous structs and unions', () => {
    const layout = layoutOf((w) => {
      const int = w.int('int', 4);
      const inner = w.struct('', 8, [
        { name: 'a', type: int, bitOffset: 0 },
        { name: 'b', type: int, bitOffset: 32 },
      ]);
      const union = w.union('', 8, [
        { name: '', type: w.volatile(inner), bitOffset: 0 },
        { name: 'whole', type: int, bitOffset: 0 },
      ]);
      w.struct('s', 16, [
        { name: 'head', type: int, bitOffset: 0 },
        { name: '', type: union, bitOffset: 64 },
      ]);
    });
    expect(layout.members).toEqual(['head', 'a', 'b', 'whole']);
    expect(layout.member('b')).toEqual({ offset: 12, size: 4, type: 'int', pointer: false });
    expect(layout.size).toBe(16);
  });

  it('reports a member beyond its struct as damage', () => {
    const layout = layoutOf((w) => {
      const int = w.int('int', 4);
      w.struct('s', 16, [
        { name: 'last', type: int, bitOffset: 96 },
        { name: 'across', type: int, bitOffset: 104 },
        { name: 'flexible', type: w.array(int, 0), bitOffset: 128 },
      ]);
    });
    expect(layout.member('last')?.offset).toBe(12);
    expect(() => layout.member('across')).toThrow('BTF: s.across ends at byte 17 of 16');
    expect(layout.member('flexible')?.offset).toBe(16);
    expect(layout.member('flexible[9]')?.offset).toBe(52);
  });

  it('steps through structs and arrays, but not through pointers', () => {
    const layout = layoutOf((w) => {
      const int = w.int('unsigned int', 4);
      const frag = w.struct('frag', 12, [
        { name: 'page', type: int, bitOffset: 0 },
        { name: 'len', type: int, bitOffset: 64 },
      ]);
      const frags = w.array(w.typedef('frag_t', frag), 17);
      const info = w.struct('info', 212, [
        { name: 'count', type: int, bitOffset: 0 },
        { name: 'frags', type: frags, bitOffset: 64 },
      ]);
      const pointer = w.pointer(w.const(info));
      w.struct('s', 312, [
        { name: 'info', type: info, bitOffset: 32 },
        { name: 'next', type: pointer, bitOffset: 2304 },
        { name: 'slots', type: w.array(pointer, 2), bitOffset: 2368 },
      ]);
    });
    expect(layout.member('info.frags[3].len')).toEqual({
      offset: 4 + 8 + 3 * 12 + 8,
      size: 4,
      type: 'unsigned int',
      pointer: false,
    });
    expect(layout.member('info.frags')).toMatchObject({ count: 17, type: 'frag_t', size: 204 });
    expect(layout.member('info.frags[16]')).toMatchObject({ type: 'frag_t', size: 12 });
    expect(layout.member('next')).toMatchObject({ pointer: true, type: 'info', size: 8 });
    expect(layout.member('slots')).toMatchObject({ pointer: true, type: 'info', count: 2 });
    for (const path of [
      'info.frags[17]',
      'info.frags.len',
      'next.count',
      'info[0]',
      '',
      '.info',
      'info.',
      'info..count',
      'info.frags[-1]',
      'info.frags[1',
      'frags',
      'constructor',
      '__proto__',
      `${'info.'.repeat(200)}count`,
    ])
      expect(layout.member(path), path).toBeUndefined();
  });

  it('resolves any element of a flexible array', () => {
    const layout = layoutOf((w) => {
      const short = w.int('short', 2);
      w.struct('s', 4, [{ name: 'tail', type: w.array(short, 0), bitOffset: 32 }]);
    });
    expect(layout.member('tail')).toMatchObject({ offset: 4, size: 0, count: 0 });
    expect(layout.member('tail[100]')).toMatchObject({ offset: 204, size: 2 });
  });

  it('resolves arrays of arrays', () => {
    const layout = layoutOf((w) => {
      const char = w.int('char', 1);
      w.struct('s', 12, [{ name: 'grid', type: w.array(w.array(char, 4), 3), bitOffset: 0 }]);
    });
    expect(layout.member('grid')).toMatchObject({ size: 12, count: 3, type: 'char' });
    expect(layout.member('grid[2]')).toMatchObject({ offset: 8, size: 4, count: 4 });
    expect(layout.member('grid[2][3]')).toMatchObject({ offset: 11, size: 1, type: 'char' });
  });

  it('locates bitfields, in the new and in the old encoding', () => {
    const layout = layoutOf((w) => {
      const byte = w.typedef('__u8', w.int('unsigned char', 1));
      const int = w.int('unsigned int', 4);
      const old = w.int('unsigned int', 4, { bits: 5 });
      const olds = w.struct('', 8, [{ name: 'old', type: old, bitOffset: 45 }]);
      w.struct('s', 24, [
        { name: 'cloned', type: byte, bitOffset: 8, bits: 1 },
        { name: 'fclone', type: byte, bitOffset: 10, bits: 2 },
        { name: 'state', type: int, bitOffset: 71, bits: 13 },
        { name: 'plain', type: int, bitOffset: 96 },
        { name: '', type: olds, bitOffset: 128 },
      ]);
    });
    expect(layout.member('cloned')).toEqual({
      offset: 1,
      size: 1,
      bits: { offset: 0, size: 1 },
      type: '__u8',
      pointer: false,
    });
    expect(layout.member('fclone')).toMatchObject({ offset: 1, bits: { offset: 2, size: 2 } });
    expect(layout.member('state')).toMatchObject({ offset: 8, size: 4, bits: { offset: 7, size: 13 } });
    expect(layout.member('plain')?.bits).toBeUndefined();
    expect(layout.member('old')).toMatchObject({ offset: 20, size: 4, bits: { offset: 13, size: 5 } });
    expect(layout.member('cloned[0]')).toBeUndefined();
  });

  it('keeps the storage of a bitfield within the struct, and its bits within the storage', () => {
    fc.assert(
      fc.property(
        fc.nat(400),
        fc.integer({ min: 1, max: 64 }),
        fc.constantFrom(0, 1, 2, 4, 8),
        fc.nat(8),
        (bits, bitSize, unit, slack) => {
          const structSize = Math.ceil((bits + bitSize) / 8) + slack;
          const unitOf = storageUnit(bits, bitSize, unit, structSize);
          expect(unitOf.offset * 8 + unitOf.bits.offset).toBe(bits);
          expect(unitOf.bits.size).toBe(bitSize);
          expect(unitOf.bits.offset + bitSize).toBeLessThanOrEqual(unitOf.size * 8);
          expect(unitOf.offset + unitOf.size).toBeLessThanOrEqual(structSize);
        },
      ),
    );
  });

  it('uses names of typedefs, and strips qualifiers', () => {
    const w = new BtfWriter();
    const struct = w.struct('real', 8, [{ name: 'x', type: w.int('int', 4), bitOffset: 0 }]);
    const alias = w.typedef('alias_t', w.const(w.typeTag('rcu', struct)));
    w.struct('s', 8, [{ name: 'a', type: w.const(alias), bitOffset: 0 }]);
    w.struct('p', 8, [
      { name: 'ptr', type: w.typedef('real_p', w.pointer(w.typeTag('rcu', struct))), bitOffset: 0 },
      { name: 'pp', type: w.pointer(w.pointer(struct)), bitOffset: 0 },
      { name: 'fn', type: w.pointer(w.prototype(0, [])), bitOffset: 0 },
      { name: 'any', type: w.pointer(0), bitOffset: 0 },
      { name: 'fwd', type: w.pointer(w.forward('hidden')), bitOffset: 0 },
    ]);
    const types = new KernelTypes(Btf.parse(w.build()), () => []);
    expect(types.struct('alias_t')).toMatchObject({ name: 'alias_t', size: 8, members: ['x'] });
    expect(types.struct('s')?.member('a')?.type).toBe('alias_t');
    expect(types.struct('s')?.member('a.x')?.type).toBe('int');
    const p = types.struct('p');
    expect(p?.member('ptr')).toMatchObject({ pointer: true, type: 'real', size: 8 });
    expect(p?.member('pp')).toMatchObject({ pointer: true, type: '' });
    expect(p?.member('fn')).toMatchObject({ pointer: true, type: '' });
    expect(p?.member('any')).toMatchObject({ pointer: true, type: 'void' });
    expect(p?.member('fwd')).toMatchObject({ pointer: true, type: 'hidden' });
    expect(types.struct('int')).toBeUndefined();
    expect(types.struct('nothing')).toBeUndefined();
  });

  it('round-trips any struct', () => {
    const memberArb = fc.record({ size: fc.constantFrom(1, 2, 4, 8), gap: fc.nat(3) });
    fc.assert(
      fc.property(fc.array(memberArb, { minLength: 1, maxLength: 60 }), (wanted) => {
        let at = 0;
        const expected: { offset: number; size: number }[] = [];
        const layout = layoutOf((w) => {
          const members = wanted.map(({ size, gap }, index) => {
            at += gap;
            expected.push({ offset: at, size });
            const member = { name: `m${index}`, type: w.int(`u${size}`, size), bitOffset: at * 8 };
            at += size;
            return member;
          });
          w.struct('s', at, members);
        });
        expect(layout.size).toBe(at);
        expect(
          layout.members.map((name) => {
            const { offset, size } = layout.member(name)!;
            return { offset, size };
          }),
        ).toEqual(expected);
      }),
    );
  });
});
