import type { MemoryAnswer } from '../../../account/memory/answer.js';
import type { FigureFormat, FigureLine } from '../../../account/memory/figure-format.js';
import { wrap } from '../../text/cut.js';
import { formatSize } from '../../text/size.js';
import { renderTable } from '../../text/table.js';
import { categoryWords } from '../words.js';
import type { DepthOptions } from './depth.js';

/** How these figures mislead, one paragraph each. */
const MISLEADS: Readonly<Record<FigureFormat, readonly string[]>> = {
  free: [
    'shared is part of buff/cache, but cannot be reclaimed without swap.',
    'buff/cache is not all reclaimable: it includes shared memory, mlocked and dirty files.',
    'available is an estimate: it counts page cache and reclaimable slabs as free, less the low watermarks (at most half of each). Slabs with objects in use cannot be freed. Dirty pages must be written first.',
    'used is total - available since procps 4.0.1; before, it was total - free - buff/cache. It includes anonymous memory, kernel memory, and memory without a counter.',
  ],
  meminfo: [
    'Lines overlap and do not add up: Shmem is part of Cached, KernelStack of VmallocUsed, large kmalloc of SUnreclaim.',
    'MemTotal excludes memory reserved at boot: the kernel image, struct pages, the crash kernel.',
    'AnonPages counts mapped pages only. PageTables excludes top-level tables and the kernel’s own.',
    'No line counts sockets, pipes, rings, or pages that drivers allocate directly.',
  ],
};

/** The figures of free(1) or /proc/meminfo, computed from rows of `memory`. */
export function figuresTable({ figures }: MemoryAnswer, { width }: DepthOptions): string {
  if (!figures) throw new TypeError('figures that were not requested');
  const said = (text: string) => wrap(text, width).join('\n');
  const table = renderTable<FigureLine>(
    [
      { heading: figures.format.toUpperCase(), value: ({ name }) => name },
      { heading: 'FROM ROWS', align: 'right', value: byRows },
      {
        heading: 'KERNEL COUNTER',
        align: 'right',
        value: ({ kernelBytes }) => (kernelBytes === null ? '?' : formatSize(kernelBytes)),
      },
      { heading: 'DIFFERENCE', align: 'right', value: difference, spare: 1 },
      { heading: 'ROWS', value: rowsCell, shrinks: { keeps: 'start', least: 16 } },
    ],
    figures.lines,
    width,
  );
  const nowhere = figures.onlyInTotal.map(
    (one) => `${categoryWords(one)} ${formatSize(one.bytes)}`,
  );
  return [
    table,
    ...(nowhere.length > 0 ? [said(`Only in the first line: ${nowhere.join(', ')}.`)] : []),
    ...MISLEADS[figures.format].map(said),
  ].join('\n\n');
}

const SIGN = { same: '', 'at-most': '≤ ', 'at-least': '≥ ' } as const;

function byRows({ bytes, bound }: FigureLine): string {
  return bytes === null ? '?' : `${SIGN[bound]}${formatSize(bytes)}`;
}

/** Difference from an equal figure, or beyond a bound; counters of a running machine change meanwhile. */
function difference({ bytes, kernelBytes, bound }: FigureLine): string {
  if (bytes === null || kernelBytes === null) return '';
  const by = bytes - kernelBytes;
  if (by === 0 || (bound === 'at-most' && by > 0) || (bound === 'at-least' && by < 0)) return '';
  return `${by > 0 ? '+' : '-'}${formatSize(Math.abs(by))}`;
}

function rowsCell({ name, rows }: FigureLine): string {
  if (rows.length > 0) return rows.map((category) => categoryWords({ category })).join(' + ');
  return OTHERS[name] ?? '';
}

/** Lines computed from other lines. */
const OTHERS: Readonly<Record<string, string>> = {
  total: 'all rows less memory reserved at boot',
  MemTotal: 'all rows less memory reserved at boot',
  'used (procps 4)': 'total - available',
  'used (before)': 'total - free - buff/cache',
};
