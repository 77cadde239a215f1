import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { MemoryImage } from '../../../src/kernel/native/image/image.js';
import { openImage } from '../../../src/kernel/native/image/open.js';
import { openNative, openNativeImage } from '../../../src/kernel/native/open.js';
import { KERNELS, labKernel } from '../../support/lab.js';
import { dumpFile, REAL_DUMPS } from './real-kernels.js';

/** System.map from the kernel's package, by name, shifted by KASLR. */
function systemMap(path: string, offset: bigint): Map<string, Set<bigint>> {
  const symbols = new Map<string, Set<bigint>>();
  for (const line of readFileSync(path, 'latin1').split('\n')) {
    const [hex, , name] = line.split(' ');
    if (hex === undefined || name === undefined) continue;
    const linked = BigInt(`0x${hex}`);
    const address = linked >> 63n ? BigInt.asUintN(64, linked + offset) : linked;
    symbols.set(name, (symbols.get(name) ?? new Set()).add(address));
  }
  return symbols;
}

/** The same image with another note. */
function withNote(image: MemoryImage, vmcoreinfo: string | undefined): MemoryImage {
  return {
    facts: image.facts,
    vmcoreinfo,
    virtualRanges: image.virtualRanges,
    readPhysical: (address, length) => image.readPhysical(address, length),
    readVirtual: (address, length) => image.readVirtual(address, length),
    noteReads: () => image.noteReads(),
    close: () => image.close(),
  };
}

describe.each(REAL_DUMPS)('symbols of $name', ({ name, kernel: version }) => {
  it('match System.map completely, by name and by address', () => {
    const kernel = openNative({ files: [dumpFile(name, 'elf')] });
    const map = systemMap(labKernel(version).systemMap, kernel.vmcoreinfo.kernelOffset);
    const listed = new Map<string, Set<bigint>>();
    let last = 0n;
    for (const { name, address } of kernel.symbolTable!.all()) {
      // Labels of the compiler, which scripts/mksysmap leaves out of the map.
      if (name.startsWith('.L')) continue;
      expect(map.get(name)?.has(address), `${name} at 0x${address.toString(16)}`).toBe(true);
      expect(address).toBeGreaterThanOrEqual(last);
      last = address;
      listed.set(name, (listed.get(name) ?? new Set()).add(address));
    }
    expect(listed.size).toBeGreaterThan(50_000);
    let sought = 0;
    for (const [name, addresses] of listed) {
      if (++sought % 10 !== 0 && addresses.size === 1) continue;
      expect(new Set(kernel.symbols(name).map(({ address }) => address)), name).toEqual(addresses);
    }
    for (const name of ['init_task', 'init_net', 'net_namespace_list', 'socket_file_ops']) {
      const [address] = map.get(name)!;
      expect(kernel.symbol(name), name).toBe(address);
      expect(kernel.nearestSymbol(address! + 1n)).toMatchObject({ offset: 1 });
    }
    kernel.close();
  });
});

describe.each(KERNELS)('symbol tables of %s', (version) => {
  it('are found by a scan too, if VMCOREINFO does not name them', () => {
    const image = openImage([dumpFile(version, 'elf')]);
    const vmcoreinfo = image.vmcoreinfo!.replace(/^SYMBOL\(kallsyms_.*\n/gm, '');
    const named = openNativeImage(image);
    const scanned = openNativeImage(withNote(image, vmcoreinfo));
    expect(scanned.provenance.symbols).toMatchObject({
      found: true,
      detail: expect.stringContaining('found by a scan'),
    });
    expect([...scanned.symbolTable!.all()]).toEqual([...named.symbolTable!.all()]);
    image.close();
  });

  it('are not needed with a vmlinux or a System.map', () => {
    const { vmlinux, systemMap } = labKernel(version);
    const files = [dumpFile(version, 'elf')];
    const own = openNative({ files });
    for (const options of [{ vmlinux }, { symbols: systemMap }]) {
      const kernel = openNative({ files, ...options });
      expect(kernel.provenance.symbols).not.toMatchObject({ source: 'kallsyms' });
      for (const name of ['init_task', 'init_net', 'page_offset_base', '__per_cpu_offset'])
        expect(kernel.symbol(name), name).toBe(own.symbol(name));
      kernel.close();
    }
    own.close();
  });

  it('name variables, not keys of lockdep at the same address', () => {
    const { vmlinux, systemMap } = labKernel(version);
    // ADDRESS SIZE TYPE NAME, or without SIZE if it is 0.
    const lines = execFileSync('nm', ['-S', vmlinux], { maxBuffer: 1 << 26 })
      .toString('latin1')
      .split('\n');
    const variables = new Map<string, string[]>();
    const keys = new Set<string>();
    for (const [at = '', ...words] of lines.map((line) => line.split(' '))) {
      const name = words.at(-1) ?? '';
      if (/^__key(\.|$)/.test(name)) keys.add(at);
      else if (words.length === 3 && /^[bdr]$/i.test(words[1]!))
        variables.set(at, [...(variables.get(at) ?? []), name]);
    }
    const shared = [...keys].filter((at) => variables.has(at));
    expect(shared.length).toBeGreaterThan(100);
    for (const options of [{}, { symbols: systemMap }]) {
      const kernel = openNative({ files: [dumpFile(version, 'elf')], ...options });
      const named = shared.map((at) => kernel.symbolAt(BigInt(`0x${at}`) + kernel.vmcoreinfo.kernelOffset)?.name);
      kernel.close();
      const wrong = shared.flatMap((at, index) => (variables.get(at)!.includes(named[index]!) ? [] : [named[index]]));
      expect(wrong).toEqual([]);
    }
  });

  it('are refused from another kernel', () => {
    const other = labKernel(version === '6.1' ? 'newest' : '6.1');
    const files = [dumpFile(version, 'elf')];
    for (const options of [{ vmlinux: other.vmlinux }, { types: other.vmlinux }, { symbols: other.systemMap }])
      expect(() => openNative({ files, ...options })).toThrow(/from a different kernel build/);
  });

  it('are found without a note, by the text of VMCOREINFO in memory', () => {
    const image = openImage([dumpFile(version, 'elf')]);
    const own = openNativeImage(image);
    const kernel = openNativeImage(withNote(image, undefined));
    expect(kernel.provenance.vmcoreinfo).toBe('memory');
    expect(kernel.facts.release).toBe(labKernel(version).release);
    expect(kernel.symbol('init_task')).toBe(own.symbol('init_task'));
    image.close();
  });
});
