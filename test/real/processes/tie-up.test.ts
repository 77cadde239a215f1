import { afterAll, describe, expect, test } from 'vitest';
import { accountMemory } from '../../../src/account/memory/memory.js';
import type { Category } from '../../../src/account/memory/tree.js';
import { kernelProcesses } from '../../../src/account/processes/kernel.js';
import type { KindOfPages } from '../../../src/contracts/procs.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { memoryNodes, NodeCounters } from '../../../src/walk/pages/vm-counters.js';
import { addressSpaces } from '../../../src/walk/processes/address-spaces.js';
import { KERNELS, labDump } from '../../support/lab.js';

describe.each([...KERNELS, '6.12-arm64-16k'] as const)(
  'processes and memory agree about the same pages: %s',
  (version) => {
    const kernel = openNative({ files: [labDump(version).elf] });
    afterAll(() => kernel.close());
    const { pages, processes } = kernelProcesses(kernel);
    if (!pages) throw new Error('not all processes can be read');
    const { anonymous, swapCache, pageCache, shared, hugetlb, otherMappedBytes: otherMapped } = pages;

    test('PSS of all processes is each mapped page once', () => {
      const pss = processes.reduce((sum, process) => sum + (process.pssBytes ?? Number.NaN), 0);
      const mapped =
        anonymous.mappedBytes + swapCache.mappedBytes + pageCache.mappedBytes + shared.mappedBytes + otherMapped;
      // Each PSS is truncated to a byte.
      expect(Math.abs(pss - mapped)).toBeLessThanOrEqual(processes.length);
      expect(mapped).toBeGreaterThan(0);
    });

    test('mapped pages match the kernel’s counters', () => {
      const counters = new NodeCounters(kernel);
      const counted = (item: string) =>
        memoryNodes(kernel).reduce((sum, node) => sum + counters.item(node, item), 0) * kernel.facts.pageSize;
      const anon = anonymous.mappedBytes + swapCache.mappedBytes;
      // Running processes may be handling faults, of a batch of pages each.
      const running = addressSpaces(kernel).filter((space) => space.running).length;
      const slack = running * 16 * kernel.facts.pageSize;
      expect(Math.abs(anon - counted('NR_ANON_MAPPED'))).toBeLessThanOrEqual(slack);
      // Kernel pages mapped into user space count as file pages.
      const files = pageCache.mappedBytes + shared.mappedBytes + otherMapped;
      expect(Math.abs(files - counted('NR_FILE_MAPPED'))).toBeLessThanOrEqual(slack);
    });

    test('mapped and unmapped pages add up to the categories of memory', () => {
      const { memory } = accountMemory(kernel);
      const bytesOf = (name: string): number => {
        const look = (category: Category): number =>
          category.category === name ? category.bytes : category.children.reduce((sum, child) => sum + look(child), 0);
        return look(memory);
      };
      const all = ({ mappedBytes, unmappedBytes }: KindOfPages) => mappedBytes + unmappedBytes;
      expect({
        anonymous: all(anonymous),
        swap: all(swapCache),
        // A frame in a socket's buffer is in the network category: none here.
        cache: all(pageCache),
        shared: all(shared),
        hugetlb: all(hugetlb),
      }).toEqual({
        anonymous: bytesOf('anonymous'),
        swap: bytesOf('swap-cache'),
        cache: bytesOf('page-cache'),
        shared: bytesOf('shared'),
        hugetlb: bytesOf('hugetlb'),
      });
    });
  },
);
