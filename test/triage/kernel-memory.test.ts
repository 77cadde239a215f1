import { expect, test } from 'vitest';
import type { Category, Owner } from '../../src/account/memory/tree.js';
import { findingWords } from '../../src/answers/triage/words.js';
import type { Kernel } from '../../src/kernel/kernel.js';
import { kernelMemory } from '../../src/triage/kernel-memory.js';
import { Warnings } from '../../src/walk/warnings.js';

const GIB = 2 ** 30;
const leaf = (category: Category['category'], bytes: number, owners: readonly Owner[] = []) =>
  ({ category, bytes, owners, children: [] }) as unknown as Category;

function found(...children: Category[]) {
  const memory = { ...leaf('memory', 10 * GIB), children };
  return kernelMemory({} as Kernel, { memory }, new Warnings());
}

test('pipes: the process that should read them, to the byte', () => {
  const owners = [{ kind: 'process', name: 'log\x1b[2J', pid: 7, bytes: GIB } as const];
  const [finding] = found(leaf('pipes', GIB + 4096, owners));
  expect(finding).toMatchObject({
    code: 'pipes',
    severity: 'warning',
    figures: { bytes: GIB + 4096, pid: 7, mostBytes: GIB },
  });
  expect(findingWords(finding!)).toBe(
    'Pipes: 1.00 GiB (10 % of memory) is in pipes, 1.00 GiB of it in those that pid 7 (log\\x1b[2J) reads or has open.',
  );
});

test('areas of vmalloc and of BPF: the largest caller; a quarter of memory is critical', () => {
  const owners = [{ kind: 'caller', name: 'htab_map_alloc', bytes: 2 * GIB } as const];
  expect(found(leaf('bpf', 3 * GIB, owners), leaf('vmalloc', 0.4 * GIB))).toMatchObject([
    {
      code: 'vmalloc',
      severity: 'critical',
      figures: { bytes: 3 * GIB, caller: 'htab_map_alloc', callerBytes: 2 * GIB, pid: null },
    },
  ]);
});

test('slab counts from 10 % on; memory of applications is not the subject', () => {
  const caches = ['a', 'b', 'c', 'd'].map(
    (name) => ({ kind: 'cache', name, bytes: GIB / 4 }) as const,
  );
  expect(found(leaf('slab-unreclaimable', 0.9 * GIB, caches))).toEqual([]);
  expect(found(leaf('anonymous', 9 * GIB), leaf('page-cache', GIB))).toEqual([]);
  expect(found(leaf('slab-unreclaimable', GIB, caches))).toMatchObject([
    { code: 'unreclaimable-slab', figures: { caches: 'a, b, c', mostBytes: GIB / 4 } },
  ]);
});
