import type { CacheFigures, MemoryAnswer } from '../../../account/memory/answer.js';
import { escapeText } from '../../text/escape.js';
import { formatCount, formatSize } from '../../text/size.js';
import { type Column, renderTable } from '../../text/table.js';
import type { DepthOptions } from './depth.js';
import { more } from './more.js';

/** Slab caches, the largest first. */
export function cachesTable({ caches }: MemoryAnswer, { limit, width }: DepthOptions): string {
  const table = renderTable(CACHE_COLUMNS, caches.slice(0, limit), width);
  return more(table, caches.length - limit);
}

/** A line for each cache. */
export const CACHE_COLUMNS: readonly Column<CacheFigures>[] = [
  {
    heading: 'CACHE',
    value: ({ name }) => escapeText(name),
    shrinks: { keeps: 'ends', least: 12 },
  },
  { heading: 'BYTES', align: 'right', value: ({ bytes }) => formatSize(bytes) },
  { heading: 'SLABS', align: 'right', value: ({ slabs }) => formatCount(slabs) },
  { heading: 'OBJECTS', align: 'right', value: ({ used }) => formatCount(used) },
  { heading: 'SLOTS', align: 'right', value: ({ slots }) => formatCount(slots), spare: 1 },
  {
    heading: 'OBJECT SIZE',
    align: 'right',
    value: ({ objectSize }) => (objectSize === null ? '?' : formatCount(objectSize)),
  },
  {
    heading: 'WASTE',
    align: 'right',
    value: ({ bytes, used, objectSize }) =>
      objectSize === null ? '?' : formatSize(Math.max(0, bytes - used * objectSize)),
  },
  {
    heading: 'RECLAIMABLE',
    value: ({ reclaimable }) => (reclaimable === null ? '?' : reclaimable ? 'yes' : ''),
  },
];
