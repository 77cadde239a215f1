import { describe, expect, test } from 'vitest';
import { openImage } from '../../../src/kernel/native/image/open.js';
import { KernelMemory } from '../../../src/kernel/native/memory.js';
import { architectureOf, openNativeImage } from '../../../src/kernel/native/open.js';
import { RecoveredSymbols } from '../../../src/kernel/native/recovered/recovered-symbols.js';
import { Vmcoreinfo } from '../../../src/kernel/native/vmcoreinfo.js';
import { KERNELS, type LabKernel } from '../../support/lab.js';
import { dumpFile } from './real-kernels.js';

/** Symbols that `skb`, `sockets` and `info` need. */
const NEEDED = [
  'init_task',
  'net_namespace_list',
  '__cpu_online_mask',
  '__per_cpu_offset',
  'nr_node_ids',
  'socket_file_ops',
  'proto_list',
  'sock_inode_cachep',
  '_totalram_pages',
  'init_uts_ns',
] as const;
const OTHERS = ['max_pfn', 'modules', 'btf_modules', 'tainted_mask'] as const;
/** Pointers up to 6.8, members of `net_hotdata` since. */
const CACHES = ['skbuff_head_cache', 'skbuff_fclone_cache', 'skb_small_head_cache'] as const;
/** Listed by the types of all kernels but 5.10's. */
const PER_CPU = ['runqueues', 'napi_alloc_cache', 'netdev_alloc_cache', '__per_cpu_start'] as const;

const CASES: readonly LabKernel[] = [...KERNELS, '6.12-arm64-16k'];

describe.each(CASES)('variables of %s that its symbol table may lack', (version) => {
  // As if it had functions only; its own variables are the expected results.
  const image = openImage([dumpFile(version, 'elf')]);
  const kernel = openNativeImage(image);
  const info = new Vmcoreinfo(image.vmcoreinfo ?? '');
  const arch = architectureOf(image, info);
  const memory = new KernelMemory(image, arch);
  const directMap = arch.settle(kernel).directMap.found;
  memory.useDirectMap(directMap);
  const symbols = kernel.symbolTable!;
  const source = { memory, search: memory, arch, info, symbols, directMap, types: kernel.types };
  const recovered = new RecoveredSymbols(source);

  test.each(NEEDED)('finds %s', (name) => {
    expect(recovered.find(name)).toBe(kernel.symbol(name));
  });

  test.each(OTHERS)('finds %s, or reports nothing', (name) => {
    expect([kernel.symbol(name), undefined]).toContain(recovered.find(name));
  });

  test('finds pointers to the caches of skbs; those in net_hotdata, or nothing', () => {
    for (const name of CACHES) {
      const member = name.replace('skbuff_head_cache', 'skbuff_cache');
      const inside = kernel.struct('net_hotdata')?.member(member)?.offset;
      const found = recovered.find(name);
      if (inside === undefined) expect(found, name).toBe(kernel.symbol(name));
      else expect([kernel.symbol('net_hotdata')! + BigInt(inside), undefined]).toContain(found);
    }
  });

  test('finds per-CPU variables if the types list them', () => {
    const perCpuList = kernel.types.perCpuVariables();
    if (version === '5.10') {
      expect(perCpuList.size).toBe(0);
      for (const name of PER_CPU) expect(recovered.find(name), name).toBeUndefined();
      return;
    }
    expect(perCpuList.size).toBeGreaterThan(100);
    for (const name of [...PER_CPU, ...perCpuList.keys()]) expect(recovered.find(name), name).toBe(kernel.symbol(name));
    expect(recovered.find('__per_cpu_end')! <= kernel.symbol('__per_cpu_end')!).toBe(true);
  });

  test('finds every exported variable and function at the address in the table', () => {
    let compared = 0;
    for (const symbol of symbols.all()) {
      if (!symbol.name.startsWith('__ksymtab_')) continue;
      const name = symbol.name.slice('__ksymtab_'.length);
      const own = symbols.find(name);
      if (own.length !== 1) continue;
      expect(recovered.find(name), name).toBe(own[0]!.address);
      compared++;
    }
    expect(compared).toBeGreaterThan(5000);
  });

  test('rejects what functions contradict', () => {
    const moved = {
      ...symbols,
      find: (name: string) => symbols.find(name).map((one) => ({ ...one, address: one.address + 64n })),
    };
    const none = new RecoveredSymbols({ ...source, symbols: moved });
    for (const name of [...NEEDED, ...OTHERS, ...CACHES, ...PER_CPU]) expect(none.find(name), name).toBeUndefined();
  });
});
