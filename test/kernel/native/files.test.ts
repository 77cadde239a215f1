import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KernelError } from '../../../src/base/errors.js';
import { Btf } from '../../../src/kernel/native/btf/btf.js';
import { openNativeImage } from '../../../src/kernel/native/open.js';
import type { TypesFile } from '../../../src/kernel/native/provenance.js';
import { parseSystemMap } from '../../../src/kernel/native/symbols-source.js';
import { BtfWriter } from '../../support/btf.js';
import { buildIdNote, writeElfFile, writeSymtab } from '../../support/elf-file.js';
import { errorOf } from '../../support/native-errors.js';
import { someTypes, syntheticKernel } from '../../support/native-kernel.js';
import { scratchFolder } from '../../support/scratch.js';

const folder = scratchFolder('kdump-mem-files-');

let files = 0;
function fileOf(bytes: Uint8Array | string): string {
  const path = join(folder, `file-${files++}`);
  writeFileSync(path, bytes);
  return path;
}

const OFFSET = 0x1200_0000n;
const BUILD_ID = 'de7057cbc620cbe53863bd5bef84ec5bc43c6f62';
const made = syntheticKernel({ kernelOffset: OFFSET });
const image = made.memory.image({ vmcoreinfo: `${made.text}BUILD-ID=${BUILD_ID}\n` });
/** The symbols as linked, before KASLR. */
const linked = made.symbols.map(({ name, type, address }) => ({
  name,
  type,
  address: address >= 1n << 63n ? address - OFFSET : address,
}));
const mapText = linked
  .map(({ name, type, address }) => `${address.toString(16).padStart(16, '0')} ${type} ${name}\n`)
  .join('');

function vmlinux({ buildId = BUILD_ID, symtab = true, types = true, shift = 0n } = {}): string {
  const written = writeSymtab([
    { name: 'main.c', address: 0n, section: 0xfff1, kind: 4 },
    { name: 'undefined', address: 0n, section: 0 },
    ...linked.map(({ name, type, address }) => ({
      name,
      address: address >= 1n << 63n ? address + shift : address,
      section: type === 'A' ? 0xfff1 : 2,
      binding: type === 't' ? ('local' as const) : ('global' as const),
    })),
  ]);
  return fileOf(
    writeElfFile([
      { name: '.notes', type: 7, bytes: buildIdNote(buildId) },
      { name: '.text', type: 1, flags: 6n, bytes: new Uint8Array(8) },
      ...(types ? [{ name: '.BTF', type: 1, bytes: someTypes().build() }] : []),
      ...(symtab
        ? [
            { name: '.symtab', type: 2, bytes: written.symtab, link: types ? 5 : 4 },
            { name: '.strtab', type: 3, bytes: written.strings },
          ]
        : []),
    ]),
  );
}

describe('a System.map', () => {
  it('is used instead of kallsyms, relocated by KASLR', () => {
    const path = fileOf(mapText);
    const kernel = openNativeImage(image, { symbols: path });
    expect(kernel.provenance.symbols).toEqual({ found: true, source: 'System.map', detail: path });
    expect([...kernel.symbolTable!.all()]).toEqual(made.symbols);
    expect(kernel.symbol('cpu_number')).toBe(0x1c040n);
    expect(kernel.symbol('do_nothing')).toBeUndefined();
    expect(kernel.symbols('do_nothing')).toHaveLength(2);
    expect(kernel.nearestSymbol(made.at.text + 0x204n)?.symbol.name).toBe('do_something');
  });

  it('does not need a newline at its end', () => {
    const table = parseSystemMap(Buffer.from('ffffffff81000000 T _stext'), 0n);
    expect(table.find('_stext')).toMatchObject([{ type: 'T', address: 0xffffffff81000000n }]);
  });

  it('may have addresses without leading zeros', () => {
    const lines = Array.from({ length: 100 }, (_, i) => `${i.toString(16)} A s${i}\n`).join('');
    const table = parseSystemMap(Buffer.from(lines), 0n);
    expect(table.count).toBe(100);
    expect(table.find('s99')).toMatchObject([{ address: 99n }]);
  });

  it('of another kernel is rejected', () => {
    const other = mapText.replace(/^ffffffff(\w+) D init_uts_ns$/m, 'fffffffe$1 D init_uts_ns');
    expect(errorOf(() => openNativeImage(image, { symbols: fileOf(other) }))).toMatchObject({
      code: 'wrong-vmlinux',
      message: expect.stringContaining('init_uts_ns'),
    });
    const none = '0000000000001000 T something_else\n';
    expect(errorOf(() => openNativeImage(image, { symbols: fileOf(none) }))).toMatchObject({ code: 'wrong-vmlinux' });
  });

  it('that places a symbol elsewhere than the dump’s own table is rejected', () => {
    const moved = mapText.replace(/^(\w+)0( \w do_something)$/m, '$18$2');
    expect(moved).not.toBe(mapText);
    expect(errorOf(() => openNativeImage(image, { symbols: fileOf(moved) }))).toMatchObject({
      code: 'wrong-vmlinux',
      message: expect.stringContaining('(do_something at 0x'),
    });
  });

  it('may be in any order, and have lines that end with CR', () => {
    const lines = mapText.trimEnd().split('\n');
    const kernel = openNativeImage(image, { symbols: fileOf(`${lines.toReversed().join('\r\n')}\r\n`) });
    expect([...kernel.symbolTable!.all()].toReversed()).toEqual(made.symbols);
    expect(kernel.nearestSymbol(made.at.text + 0x204n)?.symbol.name).toBe('do_something');
  });

  it('with a symbol at two places has no address for it', () => {
    const twice = mapText.replace(/^(\w+)0( \w do_something\n)/m, '$10$2$18$2');
    const kernel = openNativeImage(image, { symbols: fileOf(twice) });
    expect(kernel.symbols('do_something')).toHaveLength(2);
    expect(kernel.symbol('do_something')).toBeUndefined();
  });

  it('is rejected if it is too large, with the limit', () => {
    const symbols = fileOf('');
    truncateSync(symbols, 2 ** 28 + 1);
    expect(errorOf(() => openNativeImage(image, { symbols }))).toMatchObject({
      code: 'unsupported-format',
      message: `${symbols}: file too large (268435457 bytes, at most 268435456 supported)`,
      next: 'Check the path.',
    });
  });

  it.each(['', '\n\n', 'root:x:0:0:root\n', 'ffffffff81000000 T\n', 'ffffffff81000000000 T x\n'])(
    'is not %j',
    (text) => {
      expect(errorOf(() => openNativeImage(image, { symbols: fileOf(text) }))).toMatchObject({
        code: 'unsupported-format',
      });
    },
  );

  it('yields at most a typed error for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          parseSystemMap(Buffer.concat([Buffer.from('ffffffff81000000 T a\n'), bytes]), 0n).find('a');
        } catch (error) {
          if (!(error instanceof KernelError)) throw error;
        }
      }),
    );
  });
});

describe('a vmlinux', () => {
  it('is used for symbols and types', () => {
    const path = vmlinux();
    const kernel = openNativeImage(image, { vmlinux: path });
    expect(kernel.provenance.symbols).toEqual({ found: true, source: 'vmlinux', detail: path });
    expect(kernel.provenance.types).toEqual({ found: true, source: 'vmlinux', detail: path });
    const without = [...kernel.symbolTable!.all()].map(({ name, address }) => ({ name, address }));
    expect(without).toEqual(made.symbols.map(({ name, address }) => ({ name, address })));
    expect(kernel.symbols('do_nothing').map(({ type }) => type)).toEqual(['t', 't']);
    expect(kernel.symbols('_stext').map(({ type }) => type)).toEqual(['T']);
    expect(kernel.struct('page')?.size).toBe(64);
  });

  it('is used for what it contains, and the dump for the rest', () => {
    const stripped = openNativeImage(image, { vmlinux: vmlinux({ symtab: false }) });
    expect(stripped.provenance.symbols).toMatchObject({ source: 'kallsyms' });
    expect(stripped.provenance.types).toMatchObject({ source: 'vmlinux' });
    const untyped = openNativeImage(image, { vmlinux: vmlinux({ types: false }) });
    expect(untyped.provenance.symbols).toMatchObject({ source: 'vmlinux' });
    expect(untyped.provenance.types).toMatchObject({ source: 'dump' });
  });

  it('of another build is rejected by its build id', () => {
    const path = vmlinux({ buildId: 'ab'.repeat(20) });
    for (const options of [{ vmlinux: path }, { types: path }]) {
      expect(errorOf(() => openNativeImage(image, options))).toMatchObject({
        code: 'wrong-vmlinux',
        message: expect.stringContaining('build id'),
      });
    }
  });

  it('of another build is rejected by its symbols if the dump has no build id', () => {
    const path = vmlinux({ buildId: 'ab'.repeat(20), shift: 0x1000n });
    expect(errorOf(() => openNativeImage(made.image, { vmlinux: path }))).toMatchObject({ code: 'wrong-vmlinux' });
  });

  it('without symbols and types is rejected', () => {
    const path = vmlinux({ symtab: false, types: false });
    expect(errorOf(() => openNativeImage(image, { vmlinux: path }))).toMatchObject({ code: 'unsupported-format' });
  });

  it('has different errors if it is invalid and if it is missing', () => {
    const code = (path: string): unknown => errorOf(() => openNativeImage(image, { vmlinux: path }));
    expect(code(fileOf('#!/bin/sh\n'))).toMatchObject({ code: 'unsupported-format' });
    expect(code(join(folder, 'absent'))).toMatchObject({ code: 'no-such-file' });
    expect(code(folder)).toMatchObject({ code: 'unsupported-format' });
  });

  it('ends in typed errors for any damage', () => {
    const blob = writeElfFile([
      { name: '.notes', type: 7, bytes: buildIdNote(BUILD_ID) },
      { name: '.BTF', type: 1, bytes: someTypes().build() },
      { name: '.symtab', type: 2, bytes: writeSymtab([]).symtab, link: 4 },
      { name: '.strtab', type: 3, bytes: new Uint8Array(16) },
    ]);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(blob.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        (damage) => {
          const broken = Uint8Array.from(blob);
          for (const [at, value] of damage) broken[at] = value;
          const path = join(folder, 'broken');
          writeFileSync(path, broken);
          try {
            openNativeImage(image, { vmlinux: path }).struct('page');
          } catch (error) {
            if (!(error instanceof KernelError)) throw error;
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('a BTF file', () => {
  it('is used instead of the kernel’s own types', () => {
    const path = fileOf(someTypes().build());
    const kernel = openNativeImage(image, { types: path });
    expect(kernel.provenance.types).toEqual({ found: true, source: 'file', detail: path });
    expect(kernel.struct('page')?.member('_refcount')?.offset).toBe(52);
  });

  it('of another kernel is rejected by the sizes and offsets in VMCOREINFO', () => {
    const other = new BtfWriter();
    const int = other.int('int', 4);
    other.struct('page', 64, [{ name: '_refcount', type: int, bitOffset: 48 * 8 }]);
    expect(errorOf(() => openNativeImage(image, { types: fileOf(other.build()) }))).toMatchObject({
      code: 'wrong-vmlinux',
      message: expect.stringContaining('OFFSET(page._refcount) is 48, dump 52'),
    });
  });

  it('that is invalid is rejected', () => {
    for (const bytes of ['', 'root:x:0', Buffer.alloc(4096)])
      expect(errorOf(() => openNativeImage(image, { types: fileOf(bytes) }))).toMatchObject({ code: 'no-types' });
  });
});

describe('types that are not BTF', () => {
  const banner = 'Linux version 6.1.0-test (builder) #1 SMP';
  const file = (about: Partial<TypesFile> = {}): TypesFile => ({
    path: 'types.json',
    form: 'ISF',
    load: () => Btf.parse(someTypes().build()),
    ...about,
  });
  const provenanceOf = (types: TypesFile, dump = image) => openNativeImage(dump, { types }).provenance;

  it('of this build are used, with the kind of verification', () => {
    const dwarf = provenanceOf(file({ form: 'DWARF', buildId: BUILD_ID }));
    expect(dwarf.types).toEqual({ found: true, source: 'DWARF', detail: 'types.json' });
    expect(dwarf.typesVerified).toBe('build-id');
    expect(provenanceOf(file()).typesVerified).toBe('layouts');
    const release = openNativeImage(image).facts.release;
    const released = `Linux version ${release} (builder) #1 SMP`;
    expect(provenanceOf(file({ banner: released })).typesVerified).toBe('release');
  });

  it('are reported as not verified if nothing can be compared', () => {
    const load = () => Btf.parse(new BtfWriter().build());
    expect(provenanceOf(file({ load })).typesVerified).toBe('none');
    const codes = (types: TypesFile) => openNativeImage(image, { types }).doubts.map(({ code }) => code);
    expect(codes(file({ load }))).toEqual(['types-not-verified', 'types-incomplete']);
    expect(codes(file({ load, form: 'DWARF' }))).toEqual(['types-not-verified']);
    expect(codes(file({ form: 'DWARF', buildId: BUILD_ID }))).toEqual([]);
  });

  it('of another build are rejected, never used', () => {
    const load = () => {
      throw new Error('not even read');
    };
    const other = `${BUILD_ID.slice(0, -1)}3`;
    for (const [types, words] of [
      [file({ buildId: other, load }), `(build id ${other}, dump ${BUILD_ID})`],
      [file({ banner, load }), `(banner "${banner}"`],
    ] as const)
      expect(errorOf(() => provenanceOf(types))).toMatchObject({
        code: 'wrong-vmlinux',
        message: expect.stringContaining(words),
      });
  });

  it('are checked against VMCOREINFO even if the build is the same', () => {
    const other = new BtfWriter();
    const int = other.int('int', 4);
    other.struct('page', 64, [{ name: '_refcount', type: int, bitOffset: 48 * 8 }]);
    const load = () => Btf.parse(other.build());
    const kernel = openNativeImage(image, { types: file({ buildId: BUILD_ID, load }) });
    expect(errorOf(() => kernel.struct('page'))).toMatchObject({ code: 'wrong-vmlinux' });
  });

  it('supply symbols only if those of the dump are unreadable and the KASLR offset is known', () => {
    const symbols = (offset: bigint) => parseSystemMap(Buffer.from(mapText), offset, 'types.json');
    const { types } = openNativeImage(image).provenance;
    expect(types.found).toBe(true);
    expect(provenanceOf(file({ symbols })).symbols).toMatchObject({ source: 'kallsyms' });

    const without = syntheticKernel({ kernelOffset: OFFSET, kallsyms: false });
    const placed = without.memory.image({ vmcoreinfo: without.text });
    const kernel = openNativeImage(placed, { types: file({ symbols }) });
    expect(kernel.provenance.symbols).toEqual({ found: true, source: 'ISF', detail: 'types.json' });
    expect(kernel.symbol('init_uts_ns')).toBe(openNativeImage(image).symbol('init_uts_ns'));

    const unplaced = without.memory.image({ vmcoreinfo: without.text.replace(/^KERNELOFFSET=.*\n/m, '') });
    expect(provenanceOf(file({ symbols }), unplaced).symbols).toMatchObject({
      found: false,
      why: expect.stringContaining('require KERNELOFFSET'),
    });
  });
});
