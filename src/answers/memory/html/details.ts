import type { MemoryAnswer } from '../../../account/memory/answer.js';
import { type Content, type Html, html, raw } from '../../html/html.js';
import { type HtmlTable, htmlTable } from '../../html/table.js';
import { SOCKET_COLUMNS } from '../../sockets/text.js';
import { formatCount } from '../../text/size.js';
import { CACHE_COLUMNS } from '../depths/caches.js';
import { CALLER_COLUMNS } from '../depths/callers.js';
import { ZONES, zoneColumns } from '../depths/zones.js';

/** Maximum rows of a table, so that browsers stay fast. */
const MOST_ROWS = 200;

/** The lists of `memory` and `sockets`, collapsed. @param level of their headings */
export function details(answer: MemoryAnswer, level: 'h2' | 'h3' = 'h2'): Content {
  const { caches, callers, zones, census } = answer;
  const sockets = (census?.sockets ?? []).filter(({ total }) => total.pinnedBytes > 0);
  return [
    section(level, 'Sockets that pin memory', {
      id: 'sockets',
      caption: 'Sockets by pinned memory, including slab objects.',
      columns: SOCKET_COLUMNS,
      about: 'OWNER',
      rows: sockets,
    }),
    section(level, 'Slab caches', {
      id: 'caches',
      caption: 'Slab caches, the largest first.',
      columns: CACHE_COLUMNS,
      rows: caches,
    }),
    section(level, 'vmalloc areas by caller', {
      id: 'callers',
      caption: 'Functions that allocated vmalloc areas, the largest first.',
      columns: CALLER_COLUMNS,
      rows: callers,
    }),
    section(level, 'Zones', {
      id: 'zones',
      caption: ZONES,
      columns: zoneColumns(answer),
      about: 'ZONE',
      rows: zones,
    }),
  ];
}

function section<Row>(level: string, heading: string, table: HtmlTable<Row>): Html | undefined {
  const { rows } = table;
  if (rows.length === 0) return undefined;
  const left = rows.length - MOST_ROWS;
  const more = left > 0 ? html`<p>and ${formatCount(left)} more</p>` : undefined;
  const tag = raw(level);
  return html`<details><summary><${tag}>${heading} (${formatCount(rows.length)})</${tag}></summary>
${htmlTable({ ...table, rows: rows.slice(0, MOST_ROWS) })}${more}
</details>
`;
}
