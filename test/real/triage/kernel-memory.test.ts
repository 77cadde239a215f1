import { expect, test } from 'vitest';
import type { Category } from '../../../src/account/memory/tree.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { kernelMemory } from '../../../src/triage/kernel-memory.js';
import { type AddressSpace, addressSpaces } from '../../../src/walk/processes/address-spaces.js';
import { Warnings } from '../../../src/walk/warnings.js';
import { memoryOf } from '../../support/damaged-kernel.js';
import { labDump } from '../../support/lab.js';

const GIB = 2 ** 30;
const leaf = (category: Category['category'], bytes: number) =>
  ({ category, bytes, owners: [], children: [] }) as unknown as Category;

test('page tables: one process cannot have more than all together', () => {
  const kernel = openNative({ files: [labDump('newest').elf] });
  const { read, set, damagedBy } = memoryOf(kernel);
  const tables = (bytes: number | undefined) => {
    const bytesOf = ({ mm }: AddressSpace) => Number(read(mm, 'mm_struct.pgtables_bytes.counter'));
    // Not the process that has the most already.
    const [least] = addressSpaces(kernel).toSorted((a, b) => bytesOf(a) - bytesOf(b));
    const { mm, processes } = least!;
    const damages = bytes === undefined ? [] : [set(mm, 'mm_struct.pgtables_bytes.counter', bytes)];
    const memory = { ...leaf('memory', 10 * GIB), children: [leaf('page-tables', GIB)] };
    const warnings = new Warnings();
    const found = kernelMemory(damagedBy(...damages), { memory }, warnings);
    return { pid: processes[0]?.pid, figures: found[0]?.figures, warnings: warnings.list() };
  };
  const { pid, figures, warnings } = tables(GIB / 2);
  expect({ figures, warnings }).toMatchObject({ figures: { pid, mostBytes: GIB / 2 }, warnings: [] });
  expect(tables(undefined).figures?.pid).not.toBe(pid);
  // The named process would be wrong, and is left out.
  expect(tables(2 * GIB)).toMatchObject({
    figures: { pid: null, comm: null, mostBytes: null },
    warnings: [
      {
        code: 'corrupt',
        message: `page tables of processes: pid ${pid} has ${2 * GIB} bytes of page tables, all have ${GIB}`,
      },
    ],
  });
  kernel.close();
});
