import { wrap } from './cut.js';
import { type Column, renderTable } from './table.js';

/** A table of an answer, declared once for text and pages. */
export interface TableBlock {
  readonly caption: string;
  /** Sentence directly below the table; '' for none. */
  readonly below: string;
  /** Passes columns and rows on, whatever the type of its rows. */
  draw<Drawn>(draw: <Row>(columns: readonly Column<Row>[], rows: readonly Row[]) => Drawn): Drawn;
}

/** Lines that are not wrapped, such as those of a tree, below a sentence. */
export interface LinesBlock {
  /** '' for none. */
  readonly heading: string;
  readonly lines: readonly string[];
}

/** Part of an answer: sentences (each line of the text is wrapped), lines, or a table. */
export type Block = string | LinesBlock | TableBlock;

/** Returns a table as a block. */
export function tableBlock<Row>(
  caption: string,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  below = '',
): TableBlock {
  return { caption, below, draw: (draw) => draw(columns, rows) };
}

/** The next command, which is not wrapped. */
export const nextBlock = (command: string): LinesBlock => ({ heading: '', lines: [`Next: ${command}`] });

const wrapped = (text: string, width: number | null) => text.split('\n').flatMap((line) => wrap(line, width));

/** Formats blocks for a terminal. @param width its columns; null: no terminal, and nothing is cut or wrapped */
export function blockTexts(blocks: readonly Block[], width: number | null): string[] {
  return blocks.map((block) => {
    if (typeof block === 'string') return wrapped(block, width).join('\n');
    if ('lines' in block)
      return [...(block.heading === '' ? [] : wrap(block.heading, width)), ...block.lines].join('\n');
    const table = block.draw((columns, rows) => renderTable(columns, rows, width));
    const below = block.below === '' ? [] : wrap(block.below, width);
    return [table, ...below].join('\n');
  });
}
