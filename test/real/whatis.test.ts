import { describe, expect, test } from 'vitest';
import { accountMemory, type MemoryPlaces } from '../../src/account/memory/memory.js';
import { AddressIdentifier, type Identified, type Identity } from '../../src/account/whatis.js';
import { whatisSchema } from '../../src/answers/whatis/schema.js';
import { openNative } from '../../src/kernel/native/open.js';
import { kernelStacks } from '../../src/walk/memory/stacks.js';
import { Warnings } from '../../src/walk/warnings.js';
import { kdumpMem } from '../support/cli.js';
import { damagedKernel } from '../support/damaged-kernel.js';
import { DRGN_MS, drgnJson } from '../support/drgn.js';
import { LAB_KERNELS, labDump } from '../support/lab.js';
import { littleEndian } from '../support/little-endian.js';

interface Drgn {
  readonly objects: readonly (readonly [address: string, words: string | null])[];
  readonly pageStructs: readonly (readonly [address: string, frame: number])[];
  readonly files: readonly (readonly [address: string, inode: string, index: number])[];
  readonly anonymous: readonly string[];
  readonly symbols: readonly (readonly [address: string, names: readonly string[]])[];
  readonly perCpu: readonly (readonly [address: string, name: string, cpu: number])[];
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

/** drgn names tasks instead of their objects, comms in another encoding, and callers with their offsets. */
function comparable(words: string | null): string | null {
  if (words === null) return null;
  return words
    .replace(/ caller .*$/, '')
    .replace(/^task: .* (\+0x[0-9a-f]+)$/s, 'slab object: task_struct$1')
    .replace(/^(task stack: \d+) .* (\+0x[0-9a-f]+)$/s, '$1 $2');
}

describe.each([...LAB_KERNELS, '6.12-arm64-16k'] as const)(
  '%s',
  (name) => {
    const { elf } = labDump(name);
    const kernel = openNative({ files: [elf] });
    const truth = drgnJson<Drgn>(elf, name, SCRIPT);
    const warnings = new Warnings();
    const hasSheaves = kernel.struct('kmem_cache')?.member('cpu_sheaves') !== undefined;
    const identifier = new AddressIdentifier(kernel, kernel.symbolTable, warnings);
    const all: Identity[] = [];
    const of = (address: string): Identity => {
      const found = identifier.of(BigInt(address));
      all.push(found);
      return found;
    };

    test('objects, stacks and areas are those that drgn identifies', () => {
      const found = truth.objects.map(([at, words]) => ({ words, ...of(at) }));
      // drgn names the area where no symbol with a size is (functions of modules; on arm64 the image, too), and an object
      // that would begin in the padding of a slab.
      const both = found.filter(({ object, words }) => {
        // On arm64 the image is among the areas.
        if (words?.includes('symbol: ')) return false;
        if (object?.kind === 'symbol') return !words?.startsWith('vmap: ');
        return object?.kind !== 'slab-padding';
      });
      const ours = both.map(({ object, words }) => {
        const own = asDrgn(object);
        // drgn does not read sheaves of free objects (since 6.18).
        return hasSheaves && words?.startsWith('slab object')
          ? (own?.replace(/^free /, '') ?? null)
          : own;
      });
      expect(ours).toEqual(both.map(({ words }) => comparable(words)));
      expect(both.length).toBeGreaterThan(0.9 * found.length);
    });

    test('struct pages, symbols and per-CPU variables', () => {
      for (const [at, frame] of truth.pageStructs)
        expect(of(at).object).toEqual({ kind: 'page-struct', frame, offset: 8 });
      for (const [at, names] of truth.symbols) {
        const { object } = of(at);
        expect(object).toMatchObject({ kind: 'symbol' });
        expect(names).toContain(object?.kind === 'symbol' && object.name);
      }
      for (const [at, symbol, cpu] of truth.perCpu)
        expect(of(at).object).toMatchObject({ kind: 'symbol', name: symbol, cpu, offset: 4 });
      expect(truth.symbols.length).toBeGreaterThan(100);
    });

    test('pages of files', () => {
      for (const [at, inode, index] of truth.files) {
        const { object } = of(at);
        const into = BigInt(at) % BigInt(truth.pageSize);
        const offset = BigInt(index * truth.pageSize) + into;
        expect(object).toMatchObject({ kind: 'file-page', inode: BigInt(inode), offset });
      }
      expect(truth.files.length).toBeGreaterThan(100);
    });

    test(
      'anonymous pages are mapped where it says',
      () => {
        const found = truth.anonymous.map(of);
        const places = found.flatMap(({ object, frame }) =>
          object?.kind === 'process-page' ? [{ ...object, frame }] : [],
        );
        const asked = places.map(({ pid, address }) => `${pid}:0x${address.toString(16)}`);
        expect(drgnJson<number[]>(elf, name, SCRIPT, ...asked)).toEqual(
          places.map(({ frame }) => frame),
        );
        expect(places).toHaveLength(found.length);
        expect(places.length).toBeGreaterThan(200);
      },
      DRGN_MS,
    );

    test('each page has the category that `memory` gives it', () => {
      let places: MemoryPlaces | undefined;
      accountMemory(kernel, undefined, { onPlaces: (known) => (places = known) });
      const wrong = all.flatMap(({ address, frame, category, object }) => {
        const known = frame === null ? undefined : places?.ledger.categoryOf(frame);
        return category === null || known === category
          ? []
          : [{ address, category, known, object }];
      });
      expect(wrong).toEqual([]);
      expect(all.filter(({ category }) => category !== null).length).toBeGreaterThan(1000);
      expect(warnings.list()).toEqual([]);
    });
  },
  DRGN_MS,
);

test('init code that the kernel freed, and a stack that two facts place differently', () => {
  const kernel = openNative({ files: [labDump('6.12').elf] });
  const areas = [...kernelStacks(kernel)].filter(({ vm }) => vm !== 0n);
  const [one, other] = [areas[0]!, areas[1]!];
  const at = kernel.struct('task_struct')?.member('stack_vm_area')?.offset ?? -1;
  const patches = [{ address: one.task + BigInt(at), bytes: littleEndian(other.vm, 8) }];
  const identified = (address: bigint, ...changes: typeof patches) => {
    const warnings = new Warnings();
    const damaged = damagedKernel(kernel, { patches: changes, denials: [] });
    const identifier = new AddressIdentifier(damaged, kernel.symbolTable, warnings);
    return { ...identifier.of(address), complete: warnings.complete };
  };
  expect(identified(one.stack + 8n).object).toMatchObject({ kind: 'stack', offset: 8 });
  // Of the two that name one area, the one whose stack is elsewhere must not be named.
  for (const { stack } of [one, other]) {
    const { object, complete } = identified(stack + 8n, ...patches);
    const owner = object?.kind === 'stack' ? object.pid : undefined;
    const sound = identified(stack + 8n).object;
    expect(complete && owner !== (sound?.kind === 'stack' && sound.pid)).toBe(false);
  }
  expect(identified(kernel.symbol('__init_begin') ?? 0n).object?.kind).not.toBe('symbol');
  kernel.close();
});

test('as a command: text, JSON, and what does not exist', async () => {
  const { elf } = labDump('6.12');
  const of = ['--vmcore', elf];
  const text = await kdumpMem('whatis', 'init_task+0x10', 'pfn:0x1', '0x10', ...of);
  expect(text).toMatchObject({ stderr: '', status: 0 });
  const [symbol, page, low] = text.stdout.split('\n\n');
  expect(symbol).toMatch(/^0xffffffff[0-9a-f]{8}: init_task\+0x10\.\n {2}Page frame 0x/);
  expect(page).toMatch(/: page, in category .*\n {2}Page frame 0x1, physical address 0x1000\.$/);
  expect(low).toBe('0x10: not mapped.\n');
  const json = await kdumpMem('whatis', 'init_task', '--json', ...of);
  const { identities, complete } = whatisSchema.parse(JSON.parse(json.stdout));
  expect(complete).toBe(true);
  expect(identities).toMatchObject([{ category: 'image', object: { name: 'init_task' } }]);
  expect(await kdumpMem('whatis', 'no_such_symbol', ...of)).toMatchObject({
    status: 4,
    stdout: '',
  });
  expect(await kdumpMem('whatis', 'pfn:x', ...of)).toMatchObject({ status: 2, stdout: '' });
  expect(await kdumpMem('whatis', 'pfn:99999999999', ...of)).toMatchObject({
    status: 4,
    stdout: '',
  });
});
