import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KernelError, ReadError } from '../../../src/base/errors.js';
import type { AddressEncoding } from '../../../src/kernel/native/kallsyms/tables.js';
import { openNativeImage } from '../../../src/kernel/native/open.js';
import type { KallsymsOrder } from '../../support/kallsyms.js';
import { errorOf } from '../../support/native-errors.js';
import { SYNTHETIC_MEMORY, SYNTHETIC_RELEASE, someTypes, syntheticKernel } from '../../support/native-kernel.js';

const ORDERS: KallsymsOrder[] = ['old', 'between', 'new'];
const ENCODINGS: AddressEncoding[] = ['absolute', 'relative', 'relative-percpu', 'place'];

describe('a kernel opened from its own data alone', () => {
  it('describes itself and the sources of its data', () => {
    const { image, directMap, pages } = syntheticKernel();
    const kernel = openNativeImage(image);
    expect(kernel.facts).toEqual({
      release: SYNTHETIC_RELEASE,
      arch: 'x86_64',
      pageSize: 4096,
      source: 'vmcore',
      engine: 'native',
      live: false,
    });
    expect(kernel.provenance).toMatchObject({
      vmcoreinfo: 'note',
      symbols: { found: true, source: 'kallsyms' },
      types: { found: true, source: 'dump' },
      directMap: { found: true, detail: `0x${directMap.toString(16)}, from page_offset_base` },
      pages: { found: true, detail: `0x${pages.toString(16)}, from vmemmap_base and mem_section` },
      paging: '4-level page tables',
      anomalies: [],
    });
    expect(kernel.struct('page')?.member('_refcount')?.offset).toBe(52);
    expect(kernel.enumerators('pageflags')?.get('PG_head')).toBe(16n);
  });

  for (const order of ORDERS) {
    for (const encoding of ENCODINGS) {
      // 7.0 made offsets relative to their position, long after the new order was introduced.
      if (encoding === 'place' && order !== 'new') continue;
      for (const named of [true, false]) {
        const how = named ? 'located by VMCOREINFO' : 'found by a scan';
        it(`has its symbols: ${order} tables, ${encoding} addresses, ${how}`, () => {
          const extra = Array.from({ length: 700 }, (_, index) => ({
            name: `function_number_${(index * 7919) % 1000}_of_many`,
            type: 't',
            address: 0xffffffff93000400n + BigInt(index * 16),
          }));
          const { image, symbols } = syntheticKernel({ order, encoding, named, extra });
          const kernel = openNativeImage(image);
          expect(kernel.provenance.symbols, JSON.stringify(kernel.provenance.symbols)).toMatchObject({
            found: true,
            detail: expect.stringContaining(how),
          });
          expect([...kernel.symbolTable!.all()]).toEqual(symbols);
          for (const { name, address } of symbols) {
            if (name !== 'do_nothing') expect(kernel.symbol(name)).toBe(address);
          }
        });
      }
    }
  }

  for (const levels of [4, 5] as const) {
    for (const variables of [true, false]) {
      for (const encryption of [0n, 1n << 51n, 1n << 47n]) {
        it(`reads through ${levels} levels, variables ${variables}, encryption ${encryption}`, () => {
          const made = syntheticKernel({ levels, variables, encryption });
          const kernel = openNativeImage(made.image);
          expect(kernel.provenance.paging).toBe(`${levels}-level page tables`);
          expect(kernel.provenance.directMap).toMatchObject({
            found: true,
            detail: expect.stringContaining(variables ? 'page_offset_base' : 'page tables'),
          });
          expect(kernel.read(made.directMap + 5n, 3).getUint8(0)).toBe(0xaa);
          const frame = 0x1a08n;
          const page = made.pages + frame * 64n;
          expect(kernel.pages.pageOf(made.directMap + frame * 4096n + 17n)).toBe(page);
          expect(kernel.pages.addressOfPage(page)).toBe(made.directMap + frame * 4096n);
        });
      }
    }
  }

  it('finds default bases without variables', () => {
    const made = syntheticKernel({ variables: false, directMap: 0xffff888000000000n, pages: 0xffffea0000000000n });
    const kernel = openNativeImage(made.image);
    expect(kernel.provenance.directMap).toMatchObject({
      detail: expect.stringContaining('default base, verified in the page tables'),
    });
    expect(kernel.pages.pageOf(made.directMap)).toBe(made.pages);
  });

  it('assembles reads from discontiguous pages', () => {
    const { image, vmalloc } = syntheticKernel();
    const kernel = openNativeImage(image);
    const view = kernel.read(vmalloc + 4000n, 8400);
    const expected = new Uint8Array(8400).map((_, at) => Math.floor((4000 + at) / 4096) + 1);
    expect(new Uint8Array(view.buffer, view.byteOffset, 8400)).toEqual(expected);
  });

  it('names the first unreadable byte and the cause', () => {
    const made = syntheticKernel();
    const kernel = openNativeImage(made.image);
    const unmapped = errorOf(() => kernel.read(made.vmalloc + 3n * 4096n + 4090n, 8));
    expect(unmapped).toMatchObject({ code: 'unmapped', address: made.vmalloc + 4n * 4096n });
    const absent = errorOf(() => kernel.read(made.directMap + 0x1ff_0000n, 8));
    expect(absent).toMatchObject({ code: 'absent', address: made.directMap + 0x1ff_0000n });
    expect(errorOf(() => kernel.read(0x1000n, 8))).toMatchObject({ code: 'unmapped' });
    expect(errorOf(() => kernel.read(-8n, 16))).toMatchObject({ code: 'unmapped' });
    for (const length of [-1, Number.NaN, 2 ** 30, 2 ** 40, Number.POSITIVE_INFINITY])
      expect(errorOf(() => kernel.read(made.directMap, length))).toMatchObject({ code: 'refused' });
    expect(kernel.read(made.directMap, 0).byteLength).toBe(0);
    expect(errorOf(() => kernel.read(made.at.text, -1))).toBeInstanceOf(ReadError);
  });

  it('has no page outside of the direct map, and no address outside of the pages', () => {
    const made = syntheticKernel();
    const kernel = openNativeImage(made.image);
    expect(kernel.pages.pageOf(made.vmalloc)).toBeUndefined();
    expect(kernel.pages.pageOf(made.at.text)).toBeUndefined();
    expect(kernel.pages.pageOf(made.directMap - 1n)).toBeUndefined();
    expect(kernel.pages.pageOf(made.directMap + BigInt(SYNTHETIC_MEMORY))).toBeUndefined();
    expect(kernel.pages.addressOfPage(made.pages + 1n)).toBeUndefined();
    expect(kernel.pages.addressOfPage(made.pages - 64n)).toBeUndefined();
    expect(kernel.pages.addressOfPage(made.pages + BigInt((SYNTHETIC_MEMORY / 4096) * 64))).toBeUndefined();
    expect(kernel.pages.addressOfPage(0n)).toBeUndefined();
  });

  it('reads /proc/kcore through its own map, and through page tables only elsewhere', () => {
    const made = syntheticKernel();
    const image = made.memory.image({
      vmcoreinfo: made.text,
      format: 'kcore',
      // As if the page had moved after the tables were written.
      virtual: [{ address: made.vmalloc, length: 4096, physical: 0x180_0000 }],
    });
    made.memory.page(0x180_0000).fill(0x77, 1024, 2048);
    const kernel = openNativeImage(image);
    expect(kernel.facts).toMatchObject({ source: 'kcore', live: true });
    expect(kernel.read(made.vmalloc + 1024n, 1).getUint8(0)).toBe(0x77);
    expect(kernel.read(made.vmalloc + 4096n, 1).getUint8(0)).toBe(2);
  });

  it('returns no symbol for an ambiguous name', () => {
    const { image, at } = syntheticKernel();
    const kernel = openNativeImage(image);
    expect(kernel.symbol('do_nothing')).toBeUndefined();
    expect(kernel.symbols('do_nothing').map(({ address }) => address)).toEqual([at.text + 0x100n, at.text + 0x300n]);
    expect(kernel.symbol('no_such_symbol')).toBeUndefined();
  });

  it('names addresses by the symbol before them, within the image', () => {
    const { image, at, vmalloc } = syntheticKernel();
    const kernel = openNativeImage(image);
    expect(kernel.nearestSymbol(at.text + 0x204n)).toMatchObject({ symbol: { name: 'do_something' }, offset: 4 });
    expect(kernel.nearestSymbol(at.text - 1n)).toBeUndefined();
    expect(kernel.nearestSymbol(vmalloc)).toBeUndefined();
    expect(kernel.nearestSymbol(at.text + 0x80_0000n)).toBeUndefined();
  });

  it('finds VMCOREINFO in memory if there is no note, after a stale copy', () => {
    const made = syntheticKernel({ note: false });
    const stale = made.text.replace(/SYMBOL\(swapper_pg_dir\)=\w+/, 'SYMBOL(swapper_pg_dir)=0');
    made.memory.write(0x1b0_0000, Buffer.from(stale.replace(/SYMBOL\(init_top_pgt\).*\n/, '')));
    const kernel = openNativeImage(made.memory.image({}));
    expect(kernel.provenance.vmcoreinfo).toBe('memory');
    expect(kernel.symbol('max_pfn')).toBeDefined();
  });

  it('does not treat a missing file as a stale copy', () => {
    const made = syntheticKernel({ note: false });
    const open = (): unknown => openNativeImage(made.memory.image({}), { symbols: '/no/such/file' });
    expect(errorOf(open)).toMatchObject({ code: 'no-such-file' });
  });

  it('reports that VMCOREINFO was not found', () => {
    const made = syntheticKernel({ note: false });
    made.memory.page(0x1c0_0000).fill(0);
    expect(errorOf(() => openNativeImage(made.memory.image({})))).toMatchObject({
      code: 'unsupported-layout',
      message: expect.stringContaining('VMCOREINFO not found (no such note, and all memory searched)'),
    });
  });

  it('refuses VMCOREINFO of another kernel', () => {
    const made = syntheticKernel();
    const image = made.memory.image({ vmcoreinfo: made.text.replace(/^OSRELEASE=.*/, 'OSRELEASE=5.0') });
    expect(errorOf(() => openNativeImage(image))).toMatchObject({ code: 'damaged' });
  });

  it('refuses page tables that contradict phys_base', () => {
    const made = syntheticKernel();
    made.tables.map(made.at.text, 0x40_0000, 0x20_0000);
    expect(errorOf(() => openNativeImage(made.image))).toMatchObject({
      code: 'damaged',
      message: expect.stringContaining('page tables and VMCOREINFO are inconsistent'),
    });
  });

  it('refuses a direct map that its page tables contradict', () => {
    const made = syntheticKernel();
    const base = made.symbols.find(({ name }) => name === 'page_offset_base')!;
    made.memory.writeWord(made.physical(base.address), made.directMap + 0x20_0000n);
    const kernel = openNativeImage(made.image);
    expect(kernel.provenance.directMap).toMatchObject({
      found: false,
      why: expect.stringContaining('page tables disagree'),
    });
    expect(errorOf(() => kernel.pages.pageOf(made.directMap))).toMatchObject({
      code: 'damaged',
      message: expect.stringMatching(/^direct map not found: page_offset_base is 0x/),
    });
  });

  it('refuses struct pages on which vmemmap_base and mem_section disagree', () => {
    const made = syntheticKernel();
    const base = made.symbols.find(({ name }) => name === 'vmemmap_base')!;
    made.memory.writeWord(made.physical(base.address), made.pages + 0x4000n);
    const kernel = openNativeImage(made.image);
    expect(kernel.provenance.pages).toMatchObject({
      found: false,
      why: expect.stringMatching(/vmemmap_base is .*, but mem_section/),
    });
    expect(errorOf(() => kernel.pages.addressOfPage(made.pages))).toMatchObject({
      code: 'damaged',
      message: expect.stringMatching(/^struct pages not found: vmemmap_base is 0x/),
    });
  });

  it('opens without symbols and types, and reports that on a lookup', () => {
    const made = syntheticKernel();
    // Zeros in place of the constants.
    for (let at = 0; at < 0x20_0000; at += 4096)
      made.memory.pages.delete((made.physical(made.at.constants) + at) / 4096);
    const kernel = openNativeImage(made.image);
    expect(kernel.provenance.symbols.found).toBe(false);
    expect(kernel.provenance.types.found).toBe(false);
    expect(errorOf(() => kernel.symbol('init_task'))).toMatchObject({ code: 'no-symbols' });
    expect(errorOf(() => kernel.struct('page'))).toMatchObject({ code: 'no-types' });
    expect(kernel.symbol('init_uts_ns')).toBeDefined();
    // The page tables still map everything.
    expect(kernel.read(made.directMap, 1).getUint8(0)).toBe(0xaa);
    expect(kernel.pages.pageOf(made.directMap)).toBe(made.pages);
  });

  it.each(['oldest', 'old', 'between', 'new'] as const)(
    'finds kallsyms that VMCOREINFO does not name, as laid out in %s kernels',
    (order) => {
      const extra = Array.from({ length: 700 }, (_, index) => ({
        name: `variable_number_${index}`,
        type: 'd',
        address: 0xffff_ffff_81f0_0000n + BigInt(index * 8),
      }));
      const kernel = openNativeImage(syntheticKernel({ named: false, order, extra }).image);
      expect(kernel.provenance.symbols.found).toBe(true);
      for (const { name, address } of extra) expect(kernel.symbol(name)).toBe(address);
    },
  );

  it('is not misled by a thousand false markers', () => {
    const made = syntheticKernel({ named: false, order: 'new' });
    const table = made.physical(made.at.constants) + 0x8000;
    const decoys = Buffer.alloc(0x10_0000);
    for (let at = 0; at < decoys.length; at += 4) decoys.writeUInt32LE((at % 64) * 250, at);
    // The tokens stay, after the decoys; the names that use them are removed.
    const page = made.memory.read(table, 0x1000);
    made.memory.write(table, decoys);
    made.memory.write(
      table + decoys.length - 0x1000,
      new Uint8Array(page.buffer.slice(page.byteOffset, page.byteOffset + 0x1000)),
    );
    made.memory.reads = 0;
    const kernel = openNativeImage(made.image);
    expect(kernel.provenance.symbols.found).toBe(false);
    expect(made.memory.reads).toBeLessThan(60_000);
  });

  it('finds types by their magic if no symbol locates them', () => {
    const btf = someTypes();
    // A kernel has many types; a module, which must not be mistaken for it, has few.
    for (let index = 0; index < 24_000; index++) btf.struct(`filler_${index}`, 8, []);
    const made = syntheticKernel({ btf: btf.build() });
    const image = made.memory.image({ vmcoreinfo: made.text.replace(/^SYMBOL\(kallsyms.*\n/gm, '') });
    // Without consecutive digits, no scan finds the token table.
    const constants = made.physical(made.at.constants);
    for (let at = 0; at < 0x10_0000; at += 4096) made.memory.pages.delete((constants + at) / 4096);
    const kernel = openNativeImage(image);
    expect(kernel.provenance.types, JSON.stringify(kernel.provenance.types)).toMatchObject({
      found: true,
      detail: expect.stringContaining('by its magic'),
    });
    expect(kernel.struct('filler_23999')?.size).toBe(8);
  });

  it('refuses other machines by name', () => {
    const made = syntheticKernel();
    const image = made.memory.image({ vmcoreinfo: made.text, machine: 'ppc64' });
    expect(errorOf(() => openNativeImage(image))).toMatchObject({ code: 'unsupported-arch' });
  });

  it('rejects a read that is too long, and names the limit', () => {
    const { image, directMap } = syntheticKernel();
    const kernel = openNativeImage(image);
    expect(errorOf(() => kernel.read(directMap, 2 ** 28 + 1))).toMatchObject({
      code: 'refused',
      detail: 'read of 268435457 bytes, over the limit of 268435456',
    });
  });

  it('ends in typed errors for any damage', () => {
    const made = syntheticKernel({ order: 'new' });
    const frames = [...made.memory.pages.keys()];
    const names = made.symbols.map(({ name }) => name);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(), fc.nat(4095), fc.oneof(fc.constant(0xff), fc.constant(0), fc.nat(255))), {
          minLength: 1,
          maxLength: 40,
        }),
        (damage) => {
          const restore: [Uint8Array, number, number][] = [];
          for (const [frame, at, value] of damage) {
            const page = made.memory.pages.get(frames[frame % frames.length]!)!;
            restore.push([page, at, page[at]!]);
            page[at] = value;
          }
          try {
            const kernel = openNativeImage(made.image);
            kernel.struct('page')?.member('flags');
            for (const name of names) kernel.symbol(name);
            kernel.read(made.vmalloc, 16384);
          } catch (error) {
            if (!(error instanceof KernelError) && !(error instanceof ReadError)) throw error;
          } finally {
            for (const [page, at, value] of restore.reverse()) page[at] = value;
          }
        },
      ),
      { numRuns: 150 },
    );
  });
});
