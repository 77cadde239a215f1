import { expect, test } from 'vitest';
import { findReferences } from '../../../../src/account/references/references.js';
import { TargetFinder } from '../../../../src/account/references/targets.js';
import { AddressIdentifier } from '../../../../src/account/whatis.js';
import { openNative } from '../../../../src/kernel/native/open.js';
import { Warnings } from '../../../../src/walk/warnings.js';
import { DRGN_MS, drgnJson } from '../../../support/drgn.js';
import { LAB_KERNELS, labDump } from '../../../support/lab.js';

interface Drgn {
  readonly targets: readonly {
    readonly kind: 'object' | 'page' | 'area' | 'symbol';
    readonly address: string;
    readonly bytes: number;
    readonly pfn?: number;
  }[];
  /** Number of the target, physical address of the word, form. */
  readonly found: readonly (readonly [target: number, physical: number, form: string])[];
}

const SCRIPT = new URL('./refs.py', import.meta.url);

test.each([...LAB_KERNELS, '6.12-arm64-16k'] as const)(
  '%s: references are those that a search of all memory by drgn finds',
  async (name) => {
    const { elf } = labDump(name);
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
    const line = (target: bigint, physical: number, form: string) =>
      `0x${target.toString(16)} ${physical} ${form}`;
    const expected = truth.found.map(([target, physical, form]) =>
      line(BigInt(truth.targets[target]!.address), physical, form),
    );
    const lines = found.references.map(({ target, holder, form }) =>
      line(ours[target]!.address, holder.physical ?? -1, form),
    );
    expect(lines.toSorted()).toEqual(expected.toSorted());
    expect(truth.targets.length).toBeGreaterThanOrEqual(95);
    expect(expected.length).toBeGreaterThan(1000);
    expect(warnings.list()).toEqual([]);
    expect(found.scannedBytes).toBe(found.ramBytes);
    const { counts } = found;
    expect(counts.kernel + counts.user + counts.free + counts.target).toBe(expected.length);
  },
  2 * DRGN_MS,
);
