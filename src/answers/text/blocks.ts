import { escapeText } from '../../base/escape.js';
import { wrap } from './cut.js';
import { type Column, renderTable } from './table.js';

/** A table of an answer, declared once for text and pages. */
export interface TableBlock {
  readonly caption: string;
  /** Lines directly below the table; '' for none. */
  readonly below: string;
  /** Passes columns, rows and what stands below each row on, whatever the type of its rows. */
  draw<Drawn>(
    draw: <Row>(columns: readonly Column<Row>[], rows: readonly Row[], details?: (row: Row) => string) => Drawn,
  ): Drawn;
}

/** Sentences with a size before each. */
export interface SizesBlock {
  readonly heading: string;
  readonly items: readonly { readonly size: string; readonly words: string }[];
  /** Lines directly below; '' for none. */
  readonly below: string;
}

/** Lines that are not wrapped, such as those of a tree, below a sentence. */
export interface LinesBlock {
  /** '' for none. */
  readonly heading: string;
  readonly lines: readonly string[];
}

/** Part of an answer: sentences (each line of the text is wrapped), lines, or a table. */
export type Block = string | LinesBlock | SizesBlock | TableBlock;

/** Returns a table as a block. */
export function tableBlock<Row>(
  caption: string,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  below = '',
  details?: (row: Row) => string,
): TableBlock {
  return { caption, below, draw: (draw) => draw(columns, rows, details) };
}

/** The next command, which is not wrapped. */
export const nextBlock = (command: string, where = 'Next'): LinesBlock => ({
  heading: '',
  lines: [`${where}: ${command}`],
});

/** skcheck is a command of its own; it and watch read this machine without an option. */
export function hostCommand(next: string, source: string): string {
  if (next === 'watch') return 'kdump-mem watch';
  if (!next.startsWith('skcheck')) return `kdump-mem ${escapeText(next)} ${source}`;
  return source === '--live' ? escapeText(next) : `${escapeText(next)} ${source}`;
}

const wrapped = (text: string, width: number | null) => text.split('\n').flatMap((line) => wrap(line, width));

/** Formats blocks for a terminal. @param width its columns; null: no terminal, and nothing is cut or wrapped */
export function blockTexts(blocks: readonly Block[], width: number | null): string[] {
  return blocks.map((block) => {
    if (typeof block === 'string') return wrapped(block, width).join('\n');
    if ('lines' in block)
      return [...(block.heading === '' ? [] : wrap(block.heading, width)), ...block.lines].join('\n');
    const below = block.below === '' ? [] : wrapped(block.below, width);
    if ('items' in block) return [block.heading, ...sizeLines(block, width), ...below].join('\n');
    return [block.draw((columns, rows, details) => renderTable(columns, rows, width, details)), ...below].join('\n');
  });
}

function sizeLines({ items }: SizesBlock, width: number | null): string[] {
  const column = Math.max(...items.map(({ size }) => size.length));
  const room = width === null ? null : Math.max(20, width - column - 4);
  return items.flatMap(({ size, words }) =>
    wrap(words, room).map((line, at) => `  ${(at === 0 ? size : '').padStart(column)}  ${line}`),
  );
}
