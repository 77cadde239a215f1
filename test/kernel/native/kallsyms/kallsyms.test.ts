import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KernelError, ReadError } from '../../../../src/base/errors.js';
import { Kallsyms } from '../../../../src/kernel/native/kallsyms/kallsyms.js';
import type { AddressEncoding } from '../../../../src/kernel/native/kallsyms/tables.js';
import { type KernelSymbol, onlyAddress } from '../../../../src/kernel/native/symbols.js';
import { locateKallsyms } from '../../../../src/kernel/native/symbols-source.js';
import { Vmcoreinfo } from '../../../../src/kernel/native/vmcoreinfo.js';
import { type KallsymsOrder, writeKallsyms } from '../../../support/kallsyms.js';
import { errorOf } from '../../../support/native-errors.js';
import { vmcoreinfoText } from '../../../support/vmcoreinfo.js';

const AT = 0xffffffff82000000n;
const TEXT = 0xffffffff81000000n;

interface Opened {
  readonly table: Kallsyms;
  readonly bytes: Uint8Array;
}

function memoryOf(bytes: Uint8Array): { read(address: bigint, length: number): DataView } {
  return {
    read(address, length) {
      const from = Number(address - AT);
      if (from < 0 || from + length > bytes.length) throw new ReadError('absent', address);
      return new DataView(bytes.buffer, bytes.byteOffset + from, length);
    },
  };
}

function open(
  symbols: readonly KernelSymbol[],
  encoding: AddressEncoding,
  order: KallsymsOrder,
  change: (bytes: Uint8Array, tables: Readonly<Record<string, number>>) => void = () => {},
  orderedBy?: (name: string) => string,
): Opened {
  const { bytes, tables } = writeKallsyms(symbols, encoding, order, AT, orderedBy);
  change(bytes, tables);
  const memory = memoryOf(bytes);
  const named = Object.entries(tables).map(([name, at]) => [name, AT + BigInt(at)] as const);
  const info = new Vmcoreinfo(vmcoreinfoText({ symbols: new Map(named) }));
  const known = new Map(symbols.slice(0, 3).map(({ name, address }) => [name, address]));
  return { table: Kallsyms.open(memory, locateKallsyms(memory, info)!, known), bytes };
}

function symbolsNamed(names: readonly string[]): KernelSymbol[] {
  return names.map((name, index) => ({ name, type: 't', address: TEXT + BigInt(index * 16) }));
}

const NAMES = ['_stext', ...Array.from({ length: 600 }, (_, n) => `name_${(n * 7919) % 601}`)];

describe('kallsyms', () => {
  it('finds symbols by a binary search without expanding the table', () => {
    const { table } = open(symbolsNamed(NAMES), 'relative', 'new');
    expect(table.description).toBe('relative addresses, binary search');
    NAMES.forEach((name, index) => {
      expect(onlyAddress(table.find(name))).toBe(TEXT + BigInt(index * 16));
    });
    expect(table.find('name_')).toEqual([]);
    expect(table.find('zzz')).toEqual([]);
    expect(table.find('')).toEqual([]);
  });

  it('finds them in one linear pass if there is no name order', () => {
    const { table } = open(symbolsNamed(NAMES), 'relative', 'old');
    expect(table.description).toBe('relative addresses, one linear pass');
    NAMES.forEach((name, index) => {
      expect(onlyAddress(table.find(name))).toBe(TEXT + BigInt(index * 16));
    });
    expect(table.find('tname_1')).toEqual([]);
  });

  it('reads names with a two-byte length', () => {
    const long = `_RNv${'MtCs'.repeat(100)}_rust`;
    const { table } = open(symbolsNamed(['_stext', long, 'after']), 'relative', 'new');
    expect(table.find(long)).toMatchObject([{ name: long, address: TEXT + 16n }]);
    expect(table.find('after')).toMatchObject([{ address: TEXT + 32n }]);
  });

  it('works without markers', () => {
    const { table } = open(symbolsNamed(NAMES), 'relative', 'new', (bytes, tables) => {
      bytes.fill(0xff, tables.kallsyms_markers, tables.kallsyms_token_table);
    });
    expect(onlyAddress(table.find('name_600'))).toBeDefined();
    expect(table.description).toContain('binary search');
  });

  it('returns every symbol of a name', () => {
    const twice = symbolsNamed(['_stext', 'init', 'middle', 'init', 'init']);
    for (const order of ['old', 'new'] as const) {
      const { table } = open(twice, 'relative', order);
      expect(table.find('init').map(({ address }) => address)).toEqual([TEXT + 16n, TEXT + 48n, TEXT + 64n]);
    }
  });

  it.each([
    ['whole names', (name: string) => name],
    ['names without clang suffixes', (name: string) => name.replace(/\.llvm\..*/, '')],
  ])('searches an order by %s', (_, orderedBy) => {
    const names = [...NAMES, ...NAMES.map((name) => `${name}.llvm.99`), 'name_1.cold', 'name_10'];
    const symbols = symbolsNamed(names);
    const { table } = open(symbols, 'relative', 'new', () => {}, orderedBy);
    expect(table.description).toContain('binary search');
    for (const symbol of symbols) expect(table.find(symbol.name)).toContainEqual(symbol);
  });

  it('finds the symbol before an address', () => {
    const { table } = open(symbolsNamed(NAMES), 'relative', 'new');
    expect(table.before(TEXT + 33n)).toMatchObject({ name: NAMES[2], address: TEXT + 32n });
    expect(table.before(TEXT)).toMatchObject({ name: '_stext' });
    expect(table.before(TEXT - 1n)).toBeUndefined();
    expect(table.before(TEXT + 0x10_0000n)).toMatchObject({ name: NAMES.at(-1) });
  });

  it('names an address by the first symbol there, as the kernel does', () => {
    const aliased = symbolsNamed(NAMES).map((symbol, index) =>
      index === 3 || index === 4 ? { ...symbol, address: TEXT + 32n } : symbol,
    );
    const { table } = open(aliased, 'relative', 'new');
    expect(table.namedAt(TEXT + 33n)).toMatchObject({ name: NAMES[2], address: TEXT + 32n });
    expect(table.before(TEXT + 33n)).toMatchObject({ name: NAMES[4] });
    expect(table.namedAt(TEXT - 1n)).toBeUndefined();
  });

  it('round-trips any names in any encoding and order', () => {
    const nameArb = fc.string({
      unit: fc.constantFrom(...'abcdefghijklmnopqrstuvwxyzABCDXYZ0123456789_.$'),
      minLength: 1,
      maxLength: 200,
    });
    fc.assert(
      fc.property(
        fc.uniqueArray(nameArb, { minLength: 2, maxLength: 300 }),
        fc.constantFrom<AddressEncoding>('absolute', 'relative', 'relative-percpu', 'place'),
        fc.constantFrom<KallsymsOrder>('oldest', 'old', 'between', 'new'),
        (names, encoding, order) => {
          const symbols = symbolsNamed(names);
          const { table } = open(symbols, encoding, order);
          expect([...table.all()]).toEqual(symbols);
          for (const symbol of symbols) expect(table.find(symbol.name)).toEqual([symbol]);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('is rejected if known symbols decode to other addresses', () => {
    const wrong = (bytes: Uint8Array, tables: Readonly<Record<string, number>>): void => {
      bytes[tables.kallsyms_relative_base!]! += 16;
    };
    expect(errorOf(() => open(symbolsNamed(NAMES), 'relative', 'new', wrong))).toMatchObject({
      code: 'no-symbols',
      message: expect.stringContaining('addresses contradict VMCOREINFO'),
    });
  });

  it('rejects an invalid count', () => {
    for (const byte of [0, 0xff]) {
      const wrong = (bytes: Uint8Array, tables: Readonly<Record<string, number>>): void => {
        bytes.fill(byte, tables.kallsyms_num_syms, tables.kallsyms_num_syms! + 4);
      };
      expect(errorOf(() => open(symbolsNamed(NAMES), 'relative', 'new', wrong))).toMatchObject({ code: 'no-symbols' });
    }
  });

  it('ends in typed errors for any damage', () => {
    const size = writeKallsyms(symbolsNamed(NAMES), 'relative', 'new', AT).bytes.length;
    fc.assert(
      fc.property(
        fc.constantFrom<KallsymsOrder>('old', 'new'),
        fc.array(fc.tuple(fc.nat(size - 1), fc.nat(255)), { minLength: 1, maxLength: 30 }),
        (order, damage) => {
          try {
            const { table } = open(symbolsNamed(NAMES), 'relative', order, (bytes) => {
              for (const [at, value] of damage) if (at < bytes.length) bytes[at] = value;
            });
            for (const name of NAMES.slice(0, 50)) table.find(name);
            for (const symbol of table.all()) if (symbol.name === '') break;
            table.before(TEXT + 100n);
          } catch (error) {
            if (!(error instanceof KernelError) && !(error instanceof ReadError)) throw error;
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('the address of an ambiguous name', () => {
  const at = (address: bigint, type: string): KernelSymbol => ({ name: 'x', type, address });
  it('is the only one, a common one, or the one of the global symbol', () => {
    expect(onlyAddress([])).toBeUndefined();
    expect(onlyAddress([at(1n, 't')])).toBe(1n);
    expect(onlyAddress([at(1n, 't'), at(1n, 'T')])).toBe(1n);
    expect(onlyAddress([at(1n, 't'), at(2n, 'T'), at(3n, 't')])).toBe(2n);
  });

  it('is undefined if local symbols, or two global ones, have different addresses', () => {
    expect(onlyAddress([at(1n, 't'), at(2n, 't')])).toBeUndefined();
    expect(onlyAddress([at(1n, 'T'), at(2n, 'T')])).toBeUndefined();
  });
});
