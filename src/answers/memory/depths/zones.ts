import type { MemoryAnswer, ZoneFigures } from '../../../account/memory/answer.js';
import { pageSizeOf } from '../../../account/memory/page-size.js';
import { wrap } from '../../text/cut.js';
import { escapeText } from '../../text/escape.js';
import { formatCount, formatSize } from '../../text/size.js';
import { type Column, renderTable } from '../../text/table.js';
import type { DepthOptions } from './depth.js';

/** Zones with watermarks and free blocks by order. */
export function zonesTable(answer: MemoryAnswer, { width }: Pick<DepthOptions, 'width'>): string {
  const table = renderTable(zoneColumns(answer), answer.zones, width);
  return `${table}\n\n${wrap(ZONES, width).join('\n')}`;
}

/** A line for each zone. */
export function zoneColumns(answer: MemoryAnswer): Column<ZoneFigures>[] {
  const { zones } = answer;
  const pageSize = pageSizeOf(answer);
  const size = (pages: number) => formatSize(pages * pageSize);
  const free = ({ freeBlocks }: ZoneFigures) =>
    freeBlocks.reduce((sum, blocks, order) => sum + blocks * 2 ** order, 0);
  const mark = (zone: ZoneFigures, name: 'min' | 'low') =>
    zone.watermarks === null ? '?' : size(zone.watermarks[name]);
  const orders = Math.max(0, ...zones.map(({ freeBlocks }) => freeBlocks.length));
  const byOrder = Array.from(
    { length: orders },
    (_, order): Column<ZoneFigures> => ({
      heading: `${order}`,
      align: 'right',
      value: ({ freeBlocks }) => formatCount(freeBlocks[order] ?? 0),
      // Small blocks say least.
      spare: orders - order,
    }),
  );
  return [
    { heading: 'NODE', align: 'right', value: ({ nodeId }) => `${nodeId}` },
    { heading: 'ZONE', value: ({ name }) => escapeText(name) },
    { heading: 'PRESENT', align: 'right', value: ({ present }) => size(present) },
    { heading: 'FREE', align: 'right', value: (zone) => size(free(zone)) },
    { heading: 'MIN', align: 'right', value: (zone) => mark(zone, 'min') },
    { heading: 'LOW', align: 'right', value: (zone) => mark(zone, 'low') },
    ...byOrder,
  ];
}

export const ZONES =
  'Numbered columns: free blocks of that order. An order-N allocation needs a free block of order N or higher, and FREE above the MIN watermark. Below LOW, kswapd reclaims.';
