import type { MemoryAnswer } from '../../account/memory/answer.js';
import { leaves } from '../../account/memory/leaves.js';
import { wrap } from '../text/cut.js';
import { formatSize } from '../text/size.js';
import { headline } from './headline.js';
import {
  elsewhereWords,
  incompleteWords,
  isNotable,
  looseWords,
  nextCommand,
  nextOfProc,
} from './sentences.js';
import { isFromProc } from './source-words.js';
import { treeTable } from './tree-table.js';
import { noteWords, unflaggedWords } from './unflagged-words.js';
import { categoryWords } from './words.js';

export interface MemoryTextOptions {
  /** Show the kernel's counters, how each row is known, and all reasons and notes. */
  readonly verbose?: boolean | undefined;
  /** The options that name the dump, for the commands that go deeper; a line of shell words. */
  readonly source: string;
  /** Columns of the terminal; null: there is none, and nothing is cut or broken. */
  readonly width?: number | null;
}

/** The memory breakdown: a headline, the tree of categories, remarks, and the next command. */
export function memoryText(answer: MemoryAnswer, options: MemoryTextOptions): string {
  const { source, verbose = false, width = null } = options;
  const said = (text: string) => wrap(text, width).join('\n');
  const empty = leaves(answer.memory).filter(({ frames, complete }) => frames === 0 && complete);
  return [
    said(headline(answer)),
    treeTable(answer, verbose, width),
    ...incompleteWords(answer, verbose).map(said),
    ...(verbose || isNotable(answer)
      ? [...looseWords(answer), ...unflaggedWords(answer)].map(said)
      : []),
    ...(verbose ? noteWords(answer).map(said) : []),
    ...elsewhereWords(answer).map(said),
    ...(verbose && empty.length > 0
      ? [said(`Empty categories: ${empty.map(categoryWords).join(', ')}.`)]
      : []),
    ...(verbose && answer.drift > 0
      ? [said(`Counters changed by ${formatSize(answer.drift)} during the scan.`)]
      : []),
    `Next: ${isFromProc(answer) ? nextOfProc(answer, source) : `kdump-mem ${nextCommand(answer)} ${source}`}`,
  ].join('\n\n');
}
