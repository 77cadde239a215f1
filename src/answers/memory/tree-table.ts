import type { MemoryAnswer } from '../../account/memory/answer.js';
import { categoryWords } from '../../account/memory/category-names.js';
import type { Category, Owner } from '../../account/memory/tree.js';
import { formatSize } from '../../base/size.js';
import { type Column, renderTable } from '../text/table.js';
import { isFromProc, ownerWords, share } from './words.js';

/** Formats the tree of all categories that contain memory. */
export function treeTable(answer: MemoryAnswer, verbose: boolean, width: number | null): string {
  return renderTable(treeColumns(answer, verbose), treeRows(answer), width);
}

/** A category and its depth in the tree. */
export interface TreeRow {
  readonly category: Category;
  readonly depth: number;
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
      value: ({ category, depth }) => `${'  '.repeat(depth)}${categoryWords(category)}`,
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
      value: ({ category }) =>
        category.category === 'anonymous' && category.owners.length === 0 && isFromProc(answer)
          ? `(procs ${answer.captured ? '--from' : '--live'} lists them)`
          : ownersCell(category.owners),
      shrinks: { keeps: 'items', least: 12 },
    },
  ];
}

function counterCell(bytes: number, counted: number): string {
  return counted === bytes ? 'equal' : formatSize(counted);
}

const SHOWN_OWNERS = 3;

function ownersCell(owners: readonly Owner[]): string {
  const words = owners.slice(0, SHOWN_OWNERS).map((owner) => {
    return `${ownerWords(owner)} ${formatSize(owner.bytes)}`;
  });
  return [...words, ...(owners.length > SHOWN_OWNERS ? ['…'] : [])].join(', ');
}
