import type { MemoryAnswer } from '../../account/memory/answer.js';
import { categoryWords } from '../../account/memory/category-names.js';
import { leaves, type MemorySample } from '../../account/memory/tree.js';
import { escapeText } from '../../base/escape.js';
import { formatSize } from '../../base/size.js';
import { wrap } from '../text/cut.js';
import { type Column, tableLines } from '../text/table.js';
import { type WatchPage, watchPageBlock } from '../text/watch-page.js';
import { namedWords } from './named.js';
import {
  elsewhereWords,
  headline,
  hugeWords,
  incompleteWords,
  isNotable,
  looseWords,
  nextCommand,
  nextOfProc,
  noteWords,
  pipeWords,
  socketWords,
  unflaggedWords,
  uninitializedWords,
} from './sentences.js';
import { type TreeRow, treeColumns, treeRows, treeTable } from './tree-table.js';
import { isFromProc, sourceText } from './words.js';

export interface MemoryTextOptions {
  /** Show the kernel's counters, the source of each row, and all reasons and notes. */
  readonly verbose?: boolean | undefined;
  /** The options that name the dump, for follow-up commands, as shell words. */
  readonly source: string;
  /** Columns of the terminal; null: no terminal, and nothing is cut or wrapped. */
  readonly width?: number | null;
}

/** Formats the memory breakdown: a headline, the tree of categories, remarks, and the next command. */
export function memoryText(answer: MemoryAnswer, options: MemoryTextOptions): string {
  const { source, verbose = false, width = null } = options;
  const paragraph = (text: string) => wrap(text, width).join('\n');
  const next = isFromProc(answer) ? nextOfProc(answer, source) : `${nextCommand(answer)} ${source}`;
  const empty = leaves(answer.memory).filter(({ frames, complete }) => frames === 0 && complete);
  return [
    paragraph(headline(answer)),
    ...pipeWords(answer, verbose).map(paragraph),
    treeTable(answer, verbose, width),
    ...incompleteWords(answer, verbose).map(paragraph),
    ...uninitializedWords(answer, verbose).map(paragraph),
    ...(verbose || isNotable(answer) ? [...looseWords(answer), ...unflaggedWords(answer)].map(paragraph) : []),
    ...(verbose ? noteWords(answer).map(paragraph) : []),
    ...hugeWords(answer).map(paragraph),
    ...elsewhereWords(answer).map(paragraph),
    ...socketWords(answer, options).map(paragraph),
    ...namedWords(answer, verbose).map(paragraph),
    ...(verbose && empty.length > 0 ? [paragraph(`Empty categories: ${empty.map(categoryWords).join(', ')}.`)] : []),
    ...(verbose && answer.driftBytes > 0
      ? [paragraph(`Counters changed by ${formatSize(answer.driftBytes)} during the scan.`)]
      : []),
    ...(answer.source === 'vmcore' ? [] : [paragraph(sourceText(answer).trim())]),
    `Next: ${next}`,
  ].join('\n\n');
}

/** Minimum width of the column with which all columns fit into 80. */
const MIN_WHERE = 20;

/** @param width columns of the terminal; null: no terminal, and nothing is cut or wrapped */
export function watchPage(answer: MemoryAnswer, look: MemorySample, width: number | null): WatchPage {
  const changes = new Map(look.changes.map((change) => [change.category, change]));
  const [where, bytes, ...others] = treeColumns(answer, false);
  const changed = (
    heading: string,
    spare: number,
    of: (change: MemorySample['changes'][number]) => number | null,
  ): Column<TreeRow> => ({
    heading,
    spare,
    align: 'right',
    value: ({ category }) => {
      const change = changes.get(category.category);
      return change === undefined ? '' : signed(of(change));
    },
  });
  const { heading, rows, note } = tableLines<TreeRow>(
    [
      ...(where ? [{ ...where, shrinks: { keeps: 'words' as const, least: MIN_WHERE } }] : []),
      ...(bytes ? [bytes] : []),
      changed('SINCE LAST', 1, ({ sinceLastBytes }) => sinceLastBytes),
      changed('SINCE FIRST', 2, ({ sinceFirstBytes }) => sinceFirstBytes),
      ...others,
    ],
    treeRows(answer),
    width,
  );
  return {
    top: wrap(headline(answer), width),
    heading,
    rows,
    end: [
      ...(note === undefined ? [] : wrap(note, width)),
      ...answer.warnings.flatMap(({ message }) => wrap(`warning: ${escapeText(message)}`, width)),
    ],
  };
}

/** Formats one of several samples, for a pipe or a terminal that cannot redraw. */
export function watchBlock(answer: MemoryAnswer, look: MemorySample, width: number | null): string {
  return watchPageBlock(watchPage(answer, look, width), look.number, new Date(look.at));
}

function signed(bytes: number | null): string {
  if (bytes === null || bytes === 0) return '';
  return `${bytes > 0 ? '+' : '-'}${formatSize(Math.abs(bytes))}`;
}
