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

test('reports pipes with the process that should read them, to the byte', () => {
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

test('warns about shared memory that no process maps, with the process that has it open', () => {
  const shared = (bytes: number, mapped: boolean, opener?: { pid: number; comm: string }) => ({
    name: '/memfd:x\x1b',
    bytes,
    mapped,
    opener,
  });
  const memory = leaf('memory', 10 * GIB);
  const sharedFiles = [
    shared(2 * GIB, false, { pid: 7, comm: 'hoard' }),
    shared(2 * GIB, true),
    shared(0.4 * GIB, false),
  ];
  const findings = kernelMemory({} as Kernel, { memory, sharedFiles }, new Warnings());
  expect(findings).toMatchObject([
    { severity: 'warning', figures: { bytes: 2 * GIB, pid: 7, comm: 'hoard', mapped: 0 } },
    { severity: 'note', figures: { pid: null, mapped: 1 } },
  ]);
  expect(findingWords(findings[0]!)).toMatch(/memfd:x\\x1b holds 2\.00 GiB .*open in pid 7 \(hoard/);
});

test('reports vmalloc and BPF areas with the largest caller, and as critical from 25 % on', () => {
  const owners = [{ kind: 'caller', name: 'htab_map_alloc', bytes: 2 * GIB } as const];
  expect(found(leaf('bpf', 3 * GIB, owners), leaf('vmalloc', 0.4 * GIB))).toMatchObject([
    {
      code: 'vmalloc',
      severity: 'critical',
      figures: { bytes: 3 * GIB, caller: 'htab_map_alloc', callerBytes: 2 * GIB, pid: null },
    },
  ]);
});

test('reports slab from 10 % on, and no memory of applications', () => {
  const caches = ['a', 'b', 'c', 'd'].map((name) => ({ kind: 'cache', name, bytes: GIB / 4 }) as const);
  expect(found(leaf('slab-unreclaimable', 0.9 * GIB, caches))).toEqual([]);
  expect(found(leaf('anonymous', 9 * GIB), leaf('page-cache', GIB))).toEqual([]);
  expect(found(leaf('slab-unreclaimable', GIB, caches))).toMatchObject([
    { code: 'unreclaimable-slab', figures: { caches: 'a, b, c', mostBytes: GIB / 4 } },
  ]);
});
