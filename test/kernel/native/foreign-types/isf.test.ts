import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KernelError } from '../../../../src/base/errors.js';
import { readIsf } from '../../../../src/kernel/native/foreign-types/isf.js';
import { openTypesFile } from '../../../../src/kernel/native/foreign-types/open.js';
import { KernelTypes } from '../../../../src/kernel/native/types.js';
import { errorOf } from '../../../support/native-errors.js';
import { scratchFolder } from '../../../support/scratch.js';

const folder = scratchFolder('kdump-mem-isf-');

const int = { kind: 'base', name: 'int' };
const table = {
  metadata: { format: '6.2.0' },
  base_types: {
    int: { size: 4, signed: true, kind: 'int', endian: 'little' },
    char: { size: 1, signed: true, kind: 'char', endian: 'little' },
    void: { size: 0, signed: false, kind: 'void', endian: 'little' },
  },
  user_types: {
    list: {
      size: 16,
      kind: 'struct',
      fields: {
        prev: { offset: 8, type: { kind: 'pointer', subtype: { kind: 'struct', name: 'list' } } },
        next: { offset: 0, type: { kind: 'pointer', subtype: { kind: 'struct', name: 'list' } } },
      },
    },
    page: {
      size: 64,
      kind: 'struct',
      fields: {
        list: { offset: 0, type: { kind: 'struct', name: 'list' } },
        unnamed_field_10: { offset: 16, anonymous: true, type: { kind: 'union', name: 'unnamed_1234' } },
        one: { offset: 28, type: { kind: 'bitfield', bit_position: 3, bit_length: 2, type: int } },
        names: { offset: 32, type: { kind: 'array', count: 5, subtype: int } },
        call: { offset: 56, type: { kind: 'pointer', subtype: { kind: 'function' } } },
      },
    },
    unnamed_1234: {
      size: 8,
      kind: 'union',
      fields: {
        low: { offset: 0, type: int },
        mode: { offset: 0, type: { kind: 'enum', name: 'mode' } },
        // Like `page.lru`, in an anonymous struct in an anonymous union.
        unnamed_field_0: { offset: 0, anonymous: true, type: { kind: 'struct', name: 'unnamed_5678' } },
      },
    },
    unnamed_5678: {
      size: 8,
      kind: 'struct',
      fields: { pages: { offset: 4, type: int }, index: { offset: 0, type: int } },
    },
  },
  enums: { mode: { size: 4, base: 'int', constants: { OFF: 0, ON: 1, BAD: -1 } } },
  symbols: {
    _stext: { address: 'STEXT' },
    _etext: { address: 'ETEXT' },
    data: { address: 'DATA', type: int },
    cpu_number: { address: 4096 },
    missing: { address: 0 },
    linux_banner: {
      address: 'BANNER',
      constant_data: Buffer.from('Linux version 4.18.0 (x) #1\n\0').toString('base64'),
    },
  },
};
/** Adds addresses as dwarf2json writes them, which exceed the precision of a double. */
const TEXT = JSON.stringify(table)
  .replace('"STEXT"', '18446744071578845184')
  .replace('"ETEXT"', '18446744071588845184')
  .replace('"DATA"', '18446744071597795201')
  .replace('"BANNER"', '18446744071593525505');

describe('an ISF table of Volatility', () => {
  const isf = readIsf(TEXT);
  const types = new KernelTypes(isf.types, () => []);

  it('has members at their offsets, including those of anonymous unions', () => {
    const page = types.struct('page')!;
    expect(page.size).toBe(64);
    expect(page.member('list.prev')).toMatchObject({ offset: 8, size: 8, type: 'list' });
    expect(page.member('low')).toMatchObject({ offset: 16, size: 4, type: 'int' });
    expect(page.member('index')).toMatchObject({ offset: 16, size: 4, type: 'int' });
    expect(page.member('pages')).toMatchObject({ offset: 20, size: 4, type: 'int' });
    expect(page.member('names')).toMatchObject({ offset: 32, size: 20, count: 5 });
    expect(page.member('one')?.bits).toEqual({ offset: 3, size: 2 });
    expect(types.struct('list')?.members).toEqual(['next', 'prev']);
    expect(types.struct('unnamed_1234')).toBeUndefined();
    expect(types.enumerators('mode')?.get('BAD')).toBe(-1n);
  });

  it('has its banner and its symbols, relocated exactly by KASLR', () => {
    expect(isf.banner).toBe('Linux version 4.18.0 (x) #1');
    const symbols = isf.symbols(0x1000n)!;
    expect(symbols.find('data')).toEqual([{ name: 'data', type: 'D', address: 18446744071597795201n + 0x1000n }]);
    expect(symbols.find('_stext')[0]?.type).toBe('T');
    expect(symbols.find('cpu_number')[0]?.address).toBe(4096n);
    expect(symbols.find('missing')).toEqual([]);
  });

  it('is read uncompressed and compressed with xz', () => {
    const plain = join(folder, 'table.json');
    writeFileSync(plain, TEXT);
    execFileSync('xz', ['-k', plain]);
    for (const path of [plain, `${plain}.xz`])
      expect(openTypesFile(path)).toMatchObject({ path, form: 'ISF', banner: isf.banner });
  });

  it('is rejected in one line if it, or its compressed data, is truncated', () => {
    const cut = join(folder, 'cut.json');
    writeFileSync(cut, TEXT.slice(0, -100));
    const packed = join(folder, 'cut.json.xz');
    writeFileSync(packed, execFileSync('xz', ['-c', cut]).subarray(0, -20));
    for (const path of [cut, packed]) {
      const error = errorOf(() => openTypesFile(path));
      expect(error).toMatchObject({ code: 'unsupported-format' });
      expect(String(error)).not.toContain('\n');
      expect(String(error)).toContain(path);
    }
  });

  it('is rejected if it is of another format, or has dangling or cyclic types', () => {
    const { user_types: users } = table;
    const self = {
      page: { size: 8, kind: 'struct', fields: { x: { offset: 0, type: { kind: 'struct', name: 'page' } } } },
    };
    const array = { kind: 'array', count: 1e300, subtype: int };
    for (const damage of [
      { metadata: { format: '4.1.0' } },
      { metadata: null },
      { user_types: self },
      { user_types: { ...users, x: { size: 8, kind: 'struct', fields: { y: { offset: 0, type: array } } } } },
      { user_types: { x: { size: -1, kind: 'struct', fields: {} } } },
      { base_types: {} },
      { enums: { mode: { size: 4, constants: { OFF: 'x' } } } },
      { symbols: [] },
    ])
      expect(errorOf(() => readIsf(JSON.stringify({ ...table, ...damage })))).toBeInstanceOf(KernelError);
  });

  it('yields an error or types if any value is changed', () => {
    const values = [null, -1, 2 ** 40, 1e300, '', 'page', [], {}, { kind: 'struct', name: 'page' }];
    fc.assert(
      fc.property(fc.nat(200), fc.constantFrom(...values), (at, value) => {
        let place = 0;
        const changed = JSON.stringify(JSON.parse(TEXT), (_, one) => (place++ === at ? value : one));
        try {
          const { types: found, symbols } = readIsf(changed);
          symbols(0n);
          for (const name of found.names()) new KernelTypes(found, () => []).describe(name);
        } catch (error) {
          if (!(error instanceof KernelError)) throw error;
        }
      }),
      { numRuns: 600 },
    );
  });

  it.each([
    ['a million structs', 'million.json', 'far more than types of any kernel', million],
    ['a compressed file of zeros', 'bomb.json.xz', 'corrupt (over', bomb],
  ])('is rejected before it is parsed: %s', (_, name, why, write) => {
    const path = join(scratchFolder('isf-'), name);
    write(path);
    const error = errorOf(() => openTypesFile(path));
    expect(error).toMatchObject({ code: 'unsupported-format', message: expect.stringContaining(why) });
    expect(String(error)).not.toContain('\n');
  });
});

function million(path: string): void {
  const struct = '"s":{"kind":"struct","fields":{"a":{},"b":{}}},';
  writeFileSync(path, `{"user_types":{${struct.repeat(1_000_000)}"t":{}}}`);
}

function bomb(path: string): void {
  writeFileSync(path, execFileSync('xz', ['-0', '-c'], { input: Buffer.alloc(129 << 20) }));
}
