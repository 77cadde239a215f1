import { describe, expect, test } from 'vitest';
import { valueText } from '../../../src/answers/struct/instance.js';
import { typeText } from '../../../src/answers/struct/render.js';
import { ReadError } from '../../../src/base/errors.js';
import type { TypeDescription } from '../../../src/kernel/layout.js';
import { InstanceReader } from '../../../src/walk/values/instance.js';

const int = (size: number, signed = false): TypeDescription => ({
  kind: 'int',
  spelling: signed ? 'int' : 'unsigned int',
  size,
  signed,
  encoding: 'number',
});
const char: TypeDescription = { ...int(1, true), kind: 'int', spelling: 'char', encoding: 'char', signed: true };
const array = (element: TypeDescription, count: number): TypeDescription => ({
  kind: 'array',
  spelling: `${element.spelling}[${count}]`,
  size: element.size * count,
  count,
  element: () => element,
});

type Member = [name: string, type: TypeDescription, bitOffset: number, bitSize?: number];

function struct(spelling: string, size: number, members: readonly Member[]): TypeDescription {
  return {
    kind: 'struct',
    spelling,
    size,
    members: () =>
      members.map(([name, type, bitOffset, bitSize = 0]) => {
        const width = bitSize > 0 ? `:${bitSize}` : '';
        return { name, type, bitOffset, bitSize, declaration: `${type.spelling} ${name}${width}` };
      }),
  };
}

function show(type: TypeDescription, bytes: Uint8Array, elements = 200, hex = false): string {
  const reader = new InstanceReader(
    {
      read: (address, length) => {
        const offset = Number(address);
        if (offset + length > bytes.length) throw new ReadError('filtered', address);
        return new DataView(bytes.buffer, offset, length);
      },
    },
    { elements },
  );
  return valueText(reader.read(type, 0n), type, { hex });
}

describe('an instance', () => {
  test('prints the number of omitted members if it is too long', () => {
    const members = Array.from({ length: 60_000 }, (_, index): Member => [`m${index}`, array(int(1), 1), index * 8]);
    const text = show(struct('struct long', 60_000, members), new Uint8Array(60_000));
    const shown = text.split('\n').filter((line) => line.includes(' = ')).length;
    expect(shown).toBeLessThan(60_000);
    expect(text).toContain(`… ${60_000 - shown} more\n}`);
  });

  test('prints signs, bitfields across bytes, and numbers in hex where useful', () => {
    const type = struct('struct s', 8, [
      ['negative', int(4, true), 0],
      ['low', int(4), 32, 3],
      ['across', int(4), 35, 9],
      ['sign', int(4, true), 44, 4],
    ]);
    const bytes = Uint8Array.of(0xfe, 0xff, 0xff, 0xff, 0b10101_101, 0b1111_0110, 0, 0);
    expect(show(type, bytes)).toBe('{\n  negative = -2,\n  low = 5,\n  across = 213,\n  sign = -1\n}');
    expect(show(int(4), Uint8Array.of(0, 0x10, 0, 0))).toBe('4096 (0x1000)');
    expect(show(int(4, true), Uint8Array.of(0xfe, 0xff, 0xff, 0xff), 1, true)).toBe('-0x2');
  });

  test('escapes text and names from a dump', () => {
    const bytes = Uint8Array.from(Buffer.from('a"\u001b[31m\u202e\n\0\0\0'));
    expect(show(array(char, bytes.length), bytes)).toBe('"a\\"\\x1b[31m\\u{202e}\\x0a"');
    const hostile = struct('struct \u001b]0;x\u0007', 1, [['\u001b[2J', int(1), 0]]);
    for (const text of [show(hostile, Uint8Array.of(1)), typeText({ type: hostile, module: '\u001b' })]) {
      expect(text).toContain('\\x1b');
      expect(text).not.toContain('\u001b');
    }
  });

  test('truncates long arrays and counts repeated elements', () => {
    const bytes = new Uint8Array(400);
    bytes[399] = 1;
    expect(show(array(int(1), 400), bytes)).toBe('{0 <repeats 200 times>, … 200 more}');
    expect(show(array(int(1), 5), Uint8Array.of(1, 2, 2, 3, 3))).toBe('{1, 2, 2, 3, 3}');
    const huge = array(array(int(1), 0x7fffffff), 0x7fffffff);
    expect(show(huge, bytes, 2).length).toBeLessThan(500);
  });

  test('reports unreadable members in place', () => {
    const type = struct('struct s', 8, [
      ['here', int(4), 0],
      ['gone', int(4), 32],
    ]);
    expect(show(type, Uint8Array.of(7, 0, 0, 0))).toBe('{\n  here = 7,\n  gone = <filtered out of the dump>\n}');
  });

  test('terminates on types that contain themselves without a pointer', () => {
    const loop: TypeDescription = {
      kind: 'struct',
      spelling: 'struct {...}',
      size: 8,
      members: () => [
        { name: '', declaration: 'struct {...}', bitOffset: 0, bitSize: 0, type: loop },
        { name: '', declaration: 'struct {...}', bitOffset: 0, bitSize: 0, type: loop },
      ],
    };
    expect(show(loop, new Uint8Array(8)).length).toBeLessThan(50_000_000);
    expect(() => typeText({ type: loop })).toThrow(expect.objectContaining({ code: 'damaged' }));
  });
});

describe('a layout', () => {
  test('shows holes, padding and bits, as pahole counts them', () => {
    const type = struct('struct s', 16, [
      ['a', int(1), 0],
      ['b', int(4), 32],
      ['c', int(1), 64, 3],
      ['d', int(2), 80],
    ]);
    expect(typeText({ type })).toBe(
      [
        'struct s {',
        '\tunsigned int a;                                 /*     0     1 */',
        '',
        '\t/* XXX 3 bytes hole, try to pack */',
        '',
        '\tunsigned int b;                                 /*     4     4 */',
        '\tunsigned int c:3;                               /*     8: 0  1 */',
        '',
        '\t/* XXX 5 bits hole, try to pack */',
        '\t/* XXX 1 byte hole, try to pack */',
        '',
        '\tunsigned int d;                                 /*    10     2 */',
        '',
        '\t/* size: 16, cachelines: 1, members: 4 */',
        '\t/* sum members: 7, holes: 2, sum holes: 4 */',
        '\t/* sum bitfield members: 3 bits, bit holes: 1, sum bit holes: 5 bits */',
        '\t/* padding: 4 */',
        '\t/* last cacheline: 16 bytes */',
        '};',
      ].join('\n'),
    );
  });
});
