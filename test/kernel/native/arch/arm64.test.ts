import { describe, expect, it } from 'vitest';
import { openNativeImage } from '../../../../src/kernel/native/open.js';
import { ARM64_MEMORY, type Arm64KernelOptions, arm64Kernel } from '../../../support/arm64-kernel.js';
import { errorOf } from '../../../support/native-errors.js';
import { SYNTHETIC_RELEASE } from '../../../support/native-kernel.js';

const KERNELS: readonly (Arm64KernelOptions & { readonly says: string })[] = [
  { page: 4096, bits: 39, says: '3-level page tables, pages of 4 KiB' },
  { page: 4096, bits: 48, says: '4-level page tables, pages of 4 KiB' },
  { page: 4096, bits: 48, built: 52, says: '4-level page tables, pages of 4 KiB' },
  { page: 4096, bits: 52, says: '5-level page tables, pages of 4 KiB, 52-bit addresses' },
  { page: 4096, bits: 48, upperHalf: true, says: '4-level page tables, pages of 4 KiB' },
  { page: 4096, bits: 48, ram: 0x4001_0000, says: '4-level page tables, pages of 4 KiB' },
  { page: 16_384, bits: 47, built: 52, says: '3-level page tables, pages of 16 KiB' },
  { page: 16_384, bits: 52, says: '4-level page tables, pages of 16 KiB, 52-bit addresses' },
  { page: 65_536, bits: 42, says: '2-level page tables, pages of 64 KiB' },
  { page: 65_536, bits: 48, built: 52, says: '3-level page tables, pages of 64 KiB' },
  { page: 65_536, bits: 52, ram: 0x8_8000_0000, says: '3-level page tables, pages of 64 KiB' },
];

describe.each(KERNELS)('arm64, pages of $page, $bits of $built bits, memory from $ram', (shape) => {
  it('is opened from its own data alone', () => {
    const made = arm64Kernel(shape);
    const kernel = openNativeImage(made.image);
    expect(kernel.facts).toMatchObject({ release: SYNTHETIC_RELEASE, arch: 'arm64', pageSize: shape.page });
    expect(kernel.provenance).toMatchObject({
      paging: shape.says,
      symbols: { found: true },
      types: { found: true },
      directMap: { found: true },
      pages: { found: true },
      anomalies: [],
    });
    for (const { name, address } of made.symbols) expect(kernel.symbol(name)).toBe(address);
    expect(kernel.struct('page')?.size).toBe(64);
  });

  it('reads the linear map, and memory that only page tables map', () => {
    const made = arm64Kernel(shape);
    const kernel = openNativeImage(made.image);
    const physical = made.ram + 40 * 2 ** 20 + 123;
    made.memory.page(physical)[physical % 4096] = 0x5a;
    expect(kernel.read(made.linear(physical), 1).getUint8(0)).toBe(0x5a);
    expect(kernel.physicalOf(made.linear(physical))).toBe(physical);
    const across = kernel.read(made.vmalloc + BigInt(shape.page - 2), 4);
    expect([0, 1, 2, 3].map((at) => across.getUint8(at))).toEqual([1, 1, 2, 2]);
    const beyond = errorOf(() => kernel.read(made.vmalloc + BigInt(2 * shape.page - 2), 4));
    expect(beyond).toMatchObject({ code: 'unmapped', address: made.vmalloc + BigInt(2 * shape.page) });
  });

  it('converts between pages and the memory that they describe', () => {
    const made = arm64Kernel(shape);
    const kernel = openNativeImage(made.image);
    const first = made.ram / shape.page;
    const last = (made.ram + ARM64_MEMORY) / shape.page - 1;
    for (const frame of [first, first + 3, last]) {
      const address = made.linear(frame * shape.page);
      expect(kernel.pages.pageOfFrame(frame)).toBe(made.page(frame));
      expect(kernel.pages.pageOf(address + 17n)).toBe(made.page(frame));
      expect(kernel.pages.addressOfPage(made.page(frame))).toBe(address);
    }
    expect(kernel.pages.pageOf(made.vmalloc)).toBeUndefined();
    expect(kernel.pages.pageOf(made.linear(made.ram + ARM64_MEMORY))).toBeUndefined();
  });
});

const SHAPE = { page: 4096, bits: 48 } as const;

it('is identified by VMCOREINFO if the headers name no machine', () => {
  const { image } = arm64Kernel({ ...SHAPE, machine: undefined });
  expect(openNativeImage(image).facts.arch).toBe('arm64');
});

it('reads at an address that pointer authentication has signed', () => {
  // Bits 54 to 48 and 63 to 56.
  const made = arm64Kernel({ ...SHAPE, signature: 0xff7f_0000_0000_0000n });
  const kernel = openNativeImage(made.image);
  for (const signed of [0x1280_0000_0000_0000n, 0xffd5_0000_0000_0000n, 0xff80_0000_0000_0000n]) {
    const address = (made.vmalloc & 0xffff_ffff_ffffn) | signed;
    expect(kernel.read(address, 1).getUint8(0)).toBe(1);
  }
  // Bit 55 is not part of a signature: if it is clear, the address is of user space.
  const user = (made.vmalloc & 0xffff_ffff_ffffn) | 0xff55_0000_0000_0000n;
  expect(errorOf(() => kernel.read(user, 1))).toMatchObject({ code: 'unmapped' });
  const plain = openNativeImage(arm64Kernel(SHAPE).image);
  const address = (made.vmalloc & 0xffff_ffff_ffffn) | 0xffd5_0000_0000_0000n;
  expect(errorOf(() => plain.read(address, 1))).toMatchObject({ code: 'unmapped' });
});

it('treats no translated address bit as a signature', () => {
  const made = arm64Kernel({ ...SHAPE, signature: 0xff7f_ffff_0000_0000n });
  const kernel = openNativeImage(made.image);
  // Bit 45 of an address in the vmalloc area, which has all other bits set.
  const clear = made.vmalloc & ~(1n << 45n);
  expect(errorOf(() => kernel.read(clear, 1))).toMatchObject({ code: 'unmapped' });
  expect(kernel.read(made.vmalloc, 1).getUint8(0)).toBe(1);
});

it.each(['NUMBER(PHYS_OFFSET)', 'NUMBER(VMEMMAP_START)'])('reports what is unknown without %s', (key) => {
  const { image } = arm64Kernel({ ...SHAPE, without: [key] });
  const { provenance } = openNativeImage(image);
  const { directMap, pages } = provenance;
  const missing = key === 'NUMBER(PHYS_OFFSET)' ? directMap : pages;
  expect(missing).toMatchObject({ found: false, why: expect.stringContaining('VMCOREINFO has no') });
});

it('rejects a PHYS_OFFSET or a VMEMMAP_START that page tables contradict', () => {
  const off = arm64Kernel({ ...SHAPE, numbers: { PHYS_OFFSET: 0x4020_0000n } });
  expect(openNativeImage(off.image).provenance.directMap.found).toBe(false);
  const pages = arm64Kernel({ ...SHAPE, numbers: { VMEMMAP_START: 0xffff_ffff_0000_0000n } });
  expect(openNativeImage(pages.image).provenance.pages).toMatchObject({
    found: false,
    why: expect.stringContaining('unmapped'),
  });
});

it('does not confuse an alias hidden by signatures with the linear map', () => {
  const signature = 0xff7f_0000_0000_0000n;
  const { image } = arm64Kernel({ ...SHAPE, signature, without: ['NUMBER(VA_BITS)'] });
  const vmcoreinfo = `${image.vmcoreinfo}NUMBER(VA_BITS)=52\n`;
  const { directMap } = openNativeImage({ ...image, vmcoreinfo }).provenance;
  expect(directMap).toMatchObject({ found: false });
});

it('locates no struct pages by a rejected PHYS_OFFSET, unless sections confirm them', () => {
  const options = { ...SHAPE, numbers: { PHYS_OFFSET: 0x3ffe_0000n } };
  const unknown = openNativeImage(arm64Kernel(options).image);
  expect(errorOf(() => unknown.pages.pageOfFrame(0x4_0000))).toMatchObject({
    code: 'damaged',
    message: expect.stringContaining('no usable VMEMMAP_START and PHYS_OFFSET'),
  });
  const made = arm64Kernel({ ...options, sections: true });
  expect(openNativeImage(made.image).pages.pageOfFrame(0x4_0000)).toBe(made.page(0x4_0000));
});

it.each(['0xfffff00000000008', '0xfffff00000000800'])(
  'does not use an array of struct pages that begins at %s',
  (start) => {
    const { image } = arm64Kernel({ ...SHAPE, numbers: { VMEMMAP_START: BigInt(start) } });
    expect(errorOf(() => openNativeImage(image).pages.pageOfFrame(0x4_0000))).toMatchObject({
      code: 'damaged',
      message: expect.stringContaining('no usable VMEMMAP_START and PHYS_OFFSET'),
    });
  },
);

it('finds no struct page if VMCOREINFO and types disagree on its size', () => {
  const { image } = arm64Kernel(SHAPE);
  const vmcoreinfo = image.vmcoreinfo?.replace('SIZE(page)=64', 'SIZE(page)=72') ?? '';
  const kernel = openNativeImage({ ...image, vmcoreinfo });
  expect(errorOf(() => kernel.pages.pageOfFrame(0x4_0000))).toMatchObject({
    code: 'damaged',
    message: 'struct page: 72 bytes in VMCOREINFO, but 64 in the types',
  });
});

it.each([
  ['PAGESIZE', 'unsupported-layout', 'VMCOREINFO: no PAGESIZE, which arm64 requires'],
  ['NUMBER(VA_BITS)', 'unsupported-layout', 'VMCOREINFO: no VA_BITS, which arm64 requires'],
  ['NUMBER(kimage_voffset)', 'unsupported-layout', 'VMCOREINFO: no kimage_voffset, which arm64 requires'],
  ['SYMBOL(swapper_pg_dir)', 'unsupported-layout', 'VMCOREINFO: no swapper_pg_dir, which arm64 requires'],
])('is refused without %s', (key, code, message) => {
  const { image } = arm64Kernel({ ...SHAPE, without: [key] });
  expect(errorOf(() => openNativeImage(image))).toMatchObject({ code, message });
});

it.each([
  ['VA_BITS', { VA_BITS: 300n }, 'unsupported-layout'],
  ['TCR_EL1_T1SZ', { TCR_EL1_T1SZ: 64n }, 'unsupported-layout'],
  ['kimage_voffset, outside of all memory', { kimage_voffset: 5n }, 'unsupported-layout'],
  ['kimage_voffset, from another boot', { kimage_voffset: 0xffff_bfff_8813_0000n }, 'damaged'],
])('is refused with a wrong %s', (_, numbers, code) => {
  const names = Object.keys(numbers).map((name) => `NUMBER(${name})`);
  const { image } = arm64Kernel({ ...SHAPE, without: names });
  const lines = Object.entries(numbers).map(([name, value]) => `NUMBER(${name})=0x${value.toString(16)}\n`);
  const vmcoreinfo = `${image.vmcoreinfo}${lines.join('')}`;
  expect(errorOf(() => openNativeImage({ ...image, vmcoreinfo }))).toMatchObject({ code });
});
