import type { MemoryAnswer } from '../../account/memory/answer.js';
import { categoryWords } from '../../account/memory/category-names.js';
import type { Category } from '../../account/memory/tree.js';
import { formatSize } from '../../base/size.js';
import { type Column, renderTable } from '../text/table.js';
import { namedCategories } from './sentences.js';
import { isFromProc, ownerAmount, share } from './words.js';

/** Formats the tree of all categories that contain memory; without -v, small ones of a group are one row. */
export function treeTable(answer: MemoryAnswer, verbose: boolean, width: number | null): string {
  const rows = treeRows(answer);
  return renderTable(treeColumns(answer, verbose), verbose ? rows : withoutSmall(rows, answer), width);
}

/** A category and its depth in the tree. */
export interface TreeRow {
  readonly category: Category;
  readonly depth: number;
  /** Number of categories that this row sums. */
  readonly sums?: number;
}

/** Smaller shares of memory are no row of their own. */
const SMALL = 0.01;

/** Rows of categories whose parts matter; small parts of a group are summed, so that its rows add up. */
function withoutSmall(rows: readonly TreeRow[], answer: MemoryAnswer): TreeRow[] {
  const least = SMALL * answer.memory.frames;
  const named = namedCategories(answer).add('unattributed');
  return rows
    .filter(({ depth }) => depth === 0)
    .flatMap((row) => {
      const { category } = row;
      // Its parts are the same memory by another name.
      const parts = rows.filter((part) => part.depth > 0 && category.children.includes(part.category));
      if (category.category === 'free' || (category.category === 'reserved' && parts.length === 1)) return [row];
      const small = parts.filter((part) => part.category.frames < least && !named.has(part.category.category));
      if (small.length < 2) return [row, ...parts];
      return [row, ...parts.filter((part) => !small.includes(part)), sumOf(small)];
    });
}

function sumOf(rows: readonly TreeRow[]): TreeRow {
  const { category, depth } = rows[0]!;
  const sum = (of: (category: Category) => number) => rows.reduce((all, row) => all + of(row.category), 0);
  return {
    depth,
    sums: rows.length,
    category: {
      ...category,
      range: null,
      bytes: sum(({ bytes }) => bytes),
      frames: sum(({ frames }) => frames),
      complete: rows.every((row) => row.category.complete),
      owners: [],
    },
  };
}

/** Returns the categories that contain memory, each before its children. */
export function treeRows(answer: MemoryAnswer): TreeRow[] {
  return [...rowsWithin(answer.memory)].filter(
    // Many categories cannot be identified from /proc: they get no row.
    ({ category }) => category.frames > 0 || !isFromProc(answer),
  );
}

function* rowsWithin({ children }: Category, depth = 0): Generator<TreeRow> {
  // Groups are in fixed order, free memory first; within them categories are sorted by size.
  const shown = children.filter(({ frames, complete }) => frames > 0 || !complete);
  const sorted = depth === 0 ? shown : shown.toSorted((a, b) => b.frames - a.frames);
  for (const category of sorted) {
    yield { category, depth };
    yield* rowsWithin(category, depth + 1);
  }
}

export function treeColumns(answer: MemoryAnswer, verbose: boolean): Column<TreeRow>[] {
  const { memory } = answer;
  // Without kernel memory a category may also be too large.
  const bound = isFromProc(answer) ? '≈' : '≥';
  const counted: Column<TreeRow>[] = [
    {
      heading: 'KERNEL COUNTER',
      align: 'right',
      value: ({ category }) =>
        category.counterBytes === null ? '' : counterCell(category.bytes, category.counterBytes),
    },
    { heading: 'KNOWN BY', value: ({ category }) => (category.children.length > 0 ? '' : category.known), spare: 1 },
  ];
  return [
    {
      heading: 'CATEGORY',
      value: ({ category, depth, sums }) =>
        `${'  '.repeat(depth)}${sums === undefined ? categoryWords(category) : `${sums} smaller categories (-v)`}`,
      shrinks: { keeps: 'words', least: 28 },
    },
    {
      heading: 'BYTES',
      align: 'right',
      value: ({ category }) => `${category.complete ? '' : `${bound} `}${formatSize(category.bytes)}`,
    },
    { heading: 'SHARE', align: 'right', value: ({ category }) => share(category.frames, memory.frames) },
    ...(verbose ? counted : []),
    {
      heading: 'LARGEST OWNERS',
      value: ({ category, sums }) => (sums === undefined ? ownersCell(answer, category) : ''),
      shrinks: { keeps: 'items', least: 12 },
    },
  ];
}

function counterCell(bytes: number, counted: number): string {
  return counted === bytes ? 'equal' : formatSize(counted);
}

const SHOWN_OWNERS = 3;

function ownersCell(answer: MemoryAnswer, category: Category): string {
  const { owners } = category;
  if (category.category === 'anonymous' && owners.length === 0 && isFromProc(answer))
    return '(procs lists the processes)';
  // Sources disagree on where these are.
  if (answer.source === 'counters' && category.category === 'reserved') return '(also kernel image, struct pages)';
  const words = owners.slice(0, SHOWN_OWNERS).map((owner) => ownerAmount(answer, category, owner));
  return [...words, ...(owners.length > SHOWN_OWNERS ? ['…'] : [])].join(', ');
}
