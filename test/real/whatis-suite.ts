import { describe, expect, test } from 'vitest';
import { accountMemory, type MemoryPlaces } from '../../src/account/memory/memory.js';
import { AddressIdentifier } from '../../src/account/whatis.js';
import type { Identified } from '../../src/contracts/object.js';
import type { Identity } from '../../src/contracts/whatis.js';
import { openNative } from '../../src/kernel/native/open.js';
import { Warnings } from '../../src/walk/warnings.js';
import { drgnJson } from '../support/drgn.js';
import type { LabKernel } from '../support/lab.js';

type Named = readonly [address: string, names: readonly string[]];

interface Drgn {
  readonly objects: readonly (readonly [address: string, words: string | null])[];
  readonly pageStructs: readonly (readonly [address: string, frame: number])[];
  readonly files: readonly (readonly [address: string, inode: string, index: number])[];
  readonly anonymous: readonly string[];
  /** Allocated and free slab objects among `objects`. */
  readonly slabs: readonly [allocated: number, free: number];
  readonly free: readonly string[];
  readonly symbols: readonly Named[];
  readonly perCpu: readonly (readonly [...Named, cpu: number])[];
  readonly modules: readonly (readonly [...Named, module: string])[];
  readonly unmapped: readonly string[];
  readonly pageSize: number;
}

const SCRIPT = new URL('./whatis.py', import.meta.url);
const plus = (offset: number) => `+0x${offset.toString(16)}`;

/** An object in drgn's words; padding and areas without a caller have none. */
function asDrgn(object: Identified | null): string | null {
  switch (object?.kind) {
    case 'slab-object': {
      const words = `slab object: ${object.cache}${plus(object.offset)}`;
      return object.state === 'free' ? `free ${words}` : words;
    }
    case 'stack':
      return `task stack: ${object.pid} ${plus(object.offset)}`;
    case 'vmalloc-area': {
      const [from, to] = [object.start, object.start + BigInt(object.size)];
      return `vmap: 0x${from.toString(16)}-0x${to.toString(16)}`;
    }
    default:
      return null;
  }
}

/**
 * drgn names tasks instead of their objects, comms in another encoding, and callers with their
 * offsets.
 */
function comparable(words: string | null): string | null {
  if (words === null) return null;
  return words
    .replace(/ caller .*$/, '')
    .replace(/^task: .* (\+0x[0-9a-f]+)$/s, 'slab object: task_struct$1')
    .replace(/^(task stack: \d+) .* (\+0x[0-9a-f]+)$/s, '$1 $2');
}

/**
 * Compares identified addresses of a dump with drgn.
 *
 * @param each number of addresses of each kind
 * @param anonymous minimum number of anonymous pages: a guest without processes has few
 */
export function whatisSuite(name: LabKernel, elf: string, each: number, anonymous = 200): void {
  describe(`${name}, ${each} addresses of each kind`, () => {
    const kernel = openNative({ files: [elf] });
    const truth = drgnJson<Drgn>(elf, name, SCRIPT, String(each));
    const warnings = new Warnings();
    const hasSheaves = kernel.struct('kmem_cache')?.member('cpu_sheaves') !== undefined;
    const identifier = new AddressIdentifier(kernel, kernel.symbolTable, warnings);
    const all: Identity[] = [];
    const of = (address: string): Identity => {
      const found = identifier.of(BigInt(address));
      all.push(found);
      return found;
    };

    test('objects, stacks and areas match drgn', () => {
      const found = truth.objects.map(([at, words]) => ({ words, ...of(at) }));
      // drgn names the area if no symbol with a size is there (functions of modules; on arm64 the
      // image, too), and an object that would begin in the padding of a slab.
      const comparableOnes = found.filter(({ object, words }) => {
        // On arm64 the image is among the areas.
        if (words?.includes('symbol: ')) return false;
        if (object?.kind === 'symbol') return !words?.startsWith('vmap: ');
        return object?.kind !== 'slab-padding';
      });
      const ours = comparableOnes.map(({ object, words }) => {
        const own = asDrgn(object);
        // drgn does not read sheaves of free objects (since 6.18).
        return hasSheaves && words?.startsWith('slab object') ? (own?.replace(/^free /, '') ?? null) : own;
      });
      expect(ours).toEqual(comparableOnes.map(({ words }) => comparable(words)));
      expect(comparableOnes.length).toBeGreaterThan(0.9 * found.length);
      expect(truth.slabs[0]).toBe(each);
      expect(truth.slabs[1]).toBeGreaterThan(each / 10);
    });

    test('identifies struct pages, symbols of the image and of modules, per-CPU variables', () => {
      for (const [at, frame] of truth.pageStructs)
        expect(of(at).object).toEqual({ kind: 'page-struct', frame, offset: 8 });
      const named = (
        [at, names]: readonly [...Named, ...unknown[]],
        expected: Partial<Extract<Identified, { kind: 'symbol' }>>,
      ) => {
        const { object } = of(at);
        expect(object, at).toMatchObject({ kind: 'symbol', ...expected });
        expect(names, at).toContain(object?.kind === 'symbol' && object.name);
      };
      for (const one of truth.symbols) named(one, { module: null, cpu: null });
      for (const one of truth.modules) named(one, { module: one[2] });
      for (const one of truth.perCpu) named(one, { cpu: one[2] });
      for (const some of [truth.symbols, truth.modules, truth.perCpu]) expect(some).toHaveLength(each);
    });

    test('identifies free pages, and unmapped addresses', () => {
      for (const at of truth.free) expect(of(at)).toMatchObject({ category: 'free-buddy', object: { kind: 'page' } });
      for (const at of truth.unmapped) expect(of(at)).toMatchObject({ physical: null, category: null, object: null });
      for (const some of [truth.free, truth.unmapped]) expect(some).toHaveLength(each);
    });

    test('identifies pages of files', () => {
      for (const [at, inode, index] of truth.files) {
        const { object } = of(at);
        const into = BigInt(at) % BigInt(truth.pageSize);
        const offset = BigInt(index * truth.pageSize) + into;
        expect(object).toMatchObject({ kind: 'file-page', inode: String(BigInt(inode)), offset: String(offset) });
      }
      expect(truth.files.length).toBeGreaterThan(100);
    });

    test('anonymous pages are mapped at the reported address', () => {
      const found = truth.anonymous.map(of);
      const places = found.flatMap(({ object, frame }) =>
        object?.kind === 'process-page' ? [{ ...object, frame }] : [],
      );
      const queries = places.map(({ pid, address }) => `${pid}:0x${address.toString(16)}`);
      expect(drgnJson<number[]>(elf, name, SCRIPT, ...queries)).toEqual(places.map(({ frame }) => frame));
      expect(places).toHaveLength(found.length);
      expect(places.length).toBeGreaterThan(anonymous);
    });

    test('each page has the category that `memory` reports', () => {
      let places: MemoryPlaces | undefined;
      accountMemory(kernel, undefined, { onPlaces: (known) => (places = known) });
      const wrong = all.flatMap(({ address, frame, category, object }) => {
        const known = frame === null ? undefined : places?.ledger.categoryOf(frame);
        return category === null || known === category ? [] : [{ address, category, known, object }];
      });
      expect(wrong).toEqual([]);
      expect(all.filter(({ category }) => category !== null).length).toBeGreaterThan(1000);
      expect(warnings.list()).toEqual([]);
    });
  });
}
