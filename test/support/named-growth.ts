import { expect } from 'vitest';
import type { MemoryJson } from '../../src/contracts/memory.js';

/** Maximum share by which an amount may differ, and maximum share of lost memory without a name. */
const [MAX_DIFFERENCE, MAX_UNNAMED] = [0.02, 0.05];

type Named = NonNullable<MemoryJson['named']>[number];

/** Memory that a scene took between two answers, and what has to be said of it. */
export interface Taken {
  readonly scene: string;
  readonly before: MemoryJson;
  readonly after: MemoryJson;
  /** Known bytes; undefined: those that are not free any more. */
  readonly bytes?: number;
  /** The row that contains it, or the rows. */
  readonly row?: string | readonly string[];
  /**
   * Its processes, where the row of an answer lists its owners: then it is their sum, since kdump-mem's own anonymous
   * memory, which is in the row too, is another amount in each run.
   */
  readonly rowPids?: readonly number[];
  /** A decoy, its row, and its process, if the row of an answer may list it as an owner, as `rowPids`. */
  readonly decoy?: { readonly row: string; readonly bytes: number; readonly pid?: number | undefined };
  /** The entry of `named`, and all processes that it has. */
  readonly owner?: Pick<Named, 'kind' | 'name'> & { readonly pids?: readonly number[] };
}

export const rowBytes = ({ memory }: MemoryJson, isOf: (category: string) => boolean): number =>
  memory.children
    .flatMap(({ children }) => children)
    .reduce((sum, { category, bytes }) => sum + (isOf(category) ? bytes : 0), 0);

/** What processes have of some rows; undefined: the rows do not list them. */
function ownedBytes({ memory }: MemoryJson, isIn: (category: string) => boolean, pids: readonly number[]) {
  const owners = memory.children
    .flatMap(({ children }) => children)
    .flatMap((row) => (isIn(row.category) ? row.owners : []))
    .filter(({ pid }) => pid !== undefined && pids.includes(pid));
  return owners.length === 0 ? undefined : owners.reduce((sum, { bytes }) => sum + bytes, 0);
}

/**
 * Checks row, amount and owner of known memory; and, without kernel memory, that other rows than unattributed memory have
 * what was lost. Prints the figures of docs/internals/memory-experiments.md.
 */
export function expectNamed({ scene, before, after, bytes, row, rowPids = [], decoy, owner }: Taken): void {
  const grown = (isOf: (category: string) => boolean) => rowBytes(after, isOf) - rowBytes(before, isOf);
  const lost = bytes ?? -grown((category) => category.startsWith('free-'));
  const isNear = (what: string, amount: number, known: number) => {
    expect
      .soft(Math.abs(amount / known - 1), `${scene}: ${what} ${amount} of ${known}`)
      .toBeLessThanOrEqual(MAX_DIFFERENCE);
    return `${what} ${(100 * (amount / known - 1)).toFixed(2)} %`;
  };
  expect(lost).toBeGreaterThan(0);
  expect(after.memory.bytes).toBe(before.memory.bytes);
  const figures: string[] = [];
  if (row !== undefined) {
    const isIn = (category: string) => (typeof row === 'string' ? row === category : row.includes(category));
    const inside = decoy && isIn(decoy.row) ? decoy.bytes : 0;
    const inRow = ownedBytes(after, isIn, rowPids) ?? grown(isIn);
    figures.push(isNear(String(row), inRow - inside, lost));
  }
  if (decoy && decoy.row !== row) {
    // Its row may have more: anonymous memory of other programs, too.
    const isIn = (category: string) => category === decoy.row;
    const inRow = ownedBytes(after, isIn, decoy.pid === undefined ? [] : [decoy.pid]) ?? grown(isIn);
    expect.soft(inRow, `${scene}: decoy`).toBeGreaterThanOrEqual((1 - MAX_DIFFERENCE) * decoy.bytes);
  }
  if (owner) {
    const entryOf = ({ named }: MemoryJson) =>
      named?.find(({ kind, name }) => kind === owner.kind && name === owner.name);
    const entry = entryOf(after);
    figures.push(isNear(owner.kind, (entry?.bytes ?? 0) - (entryOf(before)?.bytes ?? 0), lost));
    if (owner.pids) {
      const pids = entry?.processes?.map(({ pid }) => pid) ?? [];
      expect.soft(pids.toSorted((a, b) => a - b)).toEqual(owner.pids.toSorted((a, b) => a - b));
    }
  }
  if (after.source !== 'kcore') {
    const unnamed =
      Math.max(
        0,
        grown((category) => category === 'unattributed'),
      ) / lost;
    expect.soft(unnamed, `${scene}: share without a name`).toBeLessThanOrEqual(MAX_UNNAMED);
    figures.push(`named ${(100 * (1 - unnamed)).toFixed(1)} %`);
  }
  console.info(`${scene} | ${after.source} | ${lost} | ${figures.join(' | ')}`);
}
