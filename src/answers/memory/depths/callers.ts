import type { MemoryAnswer } from '../../../account/memory/answer.js';
import { escapeText } from '../../text/escape.js';
import { formatSize } from '../../text/size.js';
import { type Column, renderTable } from '../../text/table.js';
import { categoryWords } from '../words.js';
import type { DepthOptions } from './depth.js';
import { more } from './more.js';

/** vmalloc areas by caller. */
export function callersTable({ callers }: MemoryAnswer, { limit, width }: DepthOptions): string {
  const table = renderTable(CALLER_COLUMNS, callers.slice(0, limit), width);
  return more(table, callers.length - limit);
}

/** A line for each caller. */
export const CALLER_COLUMNS: readonly Column<MemoryAnswer['callers'][number]>[] = [
  {
    heading: 'CALLER',
    value: ({ name }) => (name === '' ? '(unknown module)' : escapeText(name)),
    shrinks: { keeps: 'ends', least: 12 },
  },
  { heading: 'BYTES', align: 'right', value: ({ bytes }) => formatSize(bytes) },
  { heading: 'CATEGORY', value: (caller) => categoryWords(caller) },
];
