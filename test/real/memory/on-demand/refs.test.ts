import { describe, expect, test } from 'vitest';
import { findReferences } from '../../../../src/account/references/references.js';
import { TargetFinder } from '../../../../src/account/references/search.js';
import { AddressIdentifier } from '../../../../src/account/whatis.js';
import { unreachableSchema } from '../../../../src/contracts/unreachable.js';
import { openNative } from '../../../../src/kernel/native/open.js';
import { Warnings } from '../../../../src/walk/warnings.js';
import { kdumpMemJson } from '../../../support/cli.js';
import { drgnJson } from '../../../support/drgn.js';
import { testGuest } from '../../../support/guest.js';
import { LAB_KERNELS, type LabKernel, labDump } from '../../../support/lab.js';
import { whatisSuite } from '../../whatis-suite.js';

interface Drgn {
  readonly targets: readonly {
    readonly kind: 'object' | 'page' | 'area' | 'symbol';
    readonly address: string;
    readonly bytes: number;
    readonly pfn?: number;
  }[];
  /**
   * Number of the target, physical address of the word, form; whether the slab object that contains
   * it is allocated.
   */
  readonly found: readonly (readonly [target: number, physical: number, form: string, allocated: boolean | null])[];
}

/**
 * Options that change the contents of memory: separate page tables for entry code, red zones and
 * records in slabs. Freed objects keep their contents.
 */
const OPTIONS = 'pti=on slub_debug=FZU';

const SCRIPT = new URL('./refs.py', import.meta.url);

/** Compares references to about 100 targets with a search by drgn. */
async function compareSearch(name: LabKernel, elf: string): Promise<void> {
  const truth = drgnJson<Drgn>(elf, name, SCRIPT);
  const kernel = openNative({ files: [elf] });
  const warnings = new Warnings();
  const identifier = new AddressIdentifier(kernel, kernel.symbolTable, warnings);
  const finder = new TargetFinder(kernel, identifier, warnings);
  for (const { address, pfn } of truth.targets) {
    if (pfn === undefined) finder.addAddress(BigInt(address));
    else finder.addFrame(pfn);
  }
  const targets = finder.targets.index(kernel);
  const found = await findReferences(kernel, identifier, targets, 1e7, warnings);
  const hasSheaves = kernel.struct('kmem_cache')?.member('cpu_sheaves') !== undefined;
  kernel.close();

  const targetsOf = (all: readonly { address: bigint; bytes: number }[]) =>
    all.map(({ address, bytes }) => `0x${address.toString(16)} ${bytes}`).toSorted();
  const numbers = Array.from({ length: targets.size }, (_, number) => number);
  const ours = numbers.map((number) => ({
    address: targets.addressOf(kernel, number),
    bytes: targets.at(number).length,
  }));
  expect(targetsOf(ours)).toEqual(
    targetsOf(truth.targets.map(({ address, bytes }) => ({ address: BigInt(address), bytes }))),
  );
  const line = (target: bigint, physical: number, form: string) => `0x${target.toString(16)} ${physical} ${form}`;
  const expected = truth.found.map(([target, physical, form]) =>
    line(BigInt(truth.targets[target]!.address), physical, form),
  );
  const lines = found.references.map(({ target, holder, form }) =>
    line(ours[target]!.address, Number(holder.physical ?? -1), form),
  );
  expect(lines.toSorted()).toEqual(expected.toSorted());
  expect(truth.targets.length).toBeGreaterThanOrEqual(95);
  expect(expected.length).toBeGreaterThan(1000);
  expect(warnings.list()).toEqual([]);
  expect(found.scannedBytes).toBe(found.ramBytes);
  const { counts } = found;
  expect(counts.kernel + counts.user + counts.free + counts.target).toBe(expected.length);
  // drgn does not read sheaves of free objects (since 6.18).
  const isAllocated = new Map(truth.found.map(([, physical, , allocated]) => [physical, allocated]));
  const inSlabs = found.references.filter(
    ({ source, holder: { object, physical } }) =>
      source !== 'target' &&
      object?.kind === 'slab-object' &&
      isAllocated.get(Number(physical ?? -1)) !== null &&
      (source === 'kernel' || !hasSheaves),
  );
  for (const { source, address, holder } of inSlabs)
    expect([address, source === 'kernel']).toEqual([address, isAllocated.get(Number(holder.physical))]);
  expect(inSlabs.length).toBeGreaterThan(100);
}

for (const name of [...LAB_KERNELS, '6.12-arm64-16k'] as const) whatisSuite(name, labDump(name).elf, 1000);

test.each([...LAB_KERNELS, '6.12-arm64-16k'] as const)(
  '%s: finds the references that a search of all memory by drgn finds',
  (name) => compareSearch(name, labDump(name).elf),
);

for (const name of LAB_KERNELS) {
  const guest = testGuest(name);
  await guest.boot({ append: OPTIONS });
  const elf = await guest.lastDump();

  describe(`a machine of ${name} with ${OPTIONS}`, () => {
    whatisSuite(name, elf, 300, 40);

    test('finds the references that a search of all memory by drgn finds', () => compareSearch(name, elf));

    test('each unreachable allocation has a known reason', async () => {
      const found = await kdumpMemJson(unreachableSchema, 'memory', '--unreachable', '--vmcore', elf);
      expect(found).toMatchObject({ complete: true, warnings: [] });
      expect(found.groups.filter(({ reason }) => reason === null)).toEqual([]);
    });
  });
}
