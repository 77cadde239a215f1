import type { MemoryAnswer } from '../../account/memory/answer.js';
import { leaves } from '../../account/memory/leaves.js';
import { wrap } from '../text/cut.js';
import { formatSize } from '../text/size.js';
import { headline } from './headline.js';
import { elsewhereWords, looseWords, missedWords, nextCommand, nextOfProc } from './sentences.js';
import { isOfProc } from './told-by.js';
import { treeTable } from './tree-table.js';
import { noteWords, unflaggedWords } from './unflagged-words.js';
import { categoryWords } from './words.js';

export interface MemoryTextOptions {
  /** Say what the kernel's own counters say, and how each row is known. */
  readonly verbose?: boolean | undefined;
  /** The options that name the dump, for the commands that go deeper; a line of shell words. */
  readonly source: string;
  /** Columns of the terminal; null: there is none, and nothing is cut or broken. */
  readonly width?: number | null;
}

/** The answer to `memory`: how much, in whose hands, what stands out; then a tree, and what to ask next. */
export function memoryText(answer: MemoryAnswer, options: MemoryTextOptions): string {
  const { source, verbose = false, width = null } = options;
  const said = (text: string) => wrap(text, width).join('\n');
  const empty = leaves(answer.memory).filter(({ frames, complete }) => frames === 0 && complete);
  return [
    said(headline(answer)),
    treeTable(answer, verbose, width),
    ...missedWords(answer).map(said),
    ...looseWords(answer).map(said),
    ...unflaggedWords(answer).map(said),
    ...(verbose ? noteWords(answer).map(said) : []),
    ...elsewhereWords(answer).map(said),
    ...(verbose && empty.length > 0
      ? [said(`Nothing in: ${empty.map(categoryWords).join(', ')}.`)]
      : []),
    ...(verbose && answer.drift > 0
      ? [said(`Counters moved by ${formatSize(answer.drift)} while it was looked at.`)]
      : []),
    `Next: ${isOfProc(answer) ? nextOfProc(answer, source) : `kdump-mem ${nextCommand(answer)} ${source}`}`,
  ].join('\n\n');
}
