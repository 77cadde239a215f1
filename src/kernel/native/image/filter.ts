/** Kinds of pages that makedumpfile can leave out, by their bit in its dump level (makedumpfile(8), -d). */
const KINDS = [
  { bit: 1, kind: 'zero' },
  { bit: 2, kind: 'cache' },
  { bit: 4, kind: 'private-cache' },
  { bit: 8, kind: 'user' },
  { bit: 16, kind: 'free' },
] as const;

export type FilteredKind = (typeof KINDS)[number]['kind'];

/** The kinds of pages that a dump level leaves out. */
export function filteredKinds(dumpLevel: number): FilteredKind[] {
  return KINDS.filter(({ bit }) => (dumpLevel & bit) !== 0).map(({ kind }) => kind);
}
