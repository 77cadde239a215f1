import type { MemoryAnswer } from '../../../account/memory/answer.js';
import type { Familiar, FamiliarLine } from '../../../account/memory/familiar-figures.js';
import { wrap } from '../../text/cut.js';
import { formatSize } from '../../text/size.js';
import { renderTable } from '../../text/table.js';
import { categoryWords } from '../words.js';
import type { DepthOptions } from './depth.js';

/** Where figures that people know mislead, one sentence each. */
const MISLEADS: Readonly<Record<Familiar, readonly string[]>> = {
  free: [
    'shared is in buff/cache too, and does not go when memory is short: it needs swap.',
    'buff/cache is no spare memory: shared memory, mlocked and dirty files are in it.',
    'available is an estimate: the page cache and slabs that can be reclaimed count as free, less low watermarks (half of each at most), though objects in use keep slabs, and dirty pages have to be written first.',
    'used is total - available since procps 4.0.1, and was total - free - buff/cache before: the same machine has two figures. What is in it: anonymous memory, the kernel’s, and all that no counter has.',
  ],
  meminfo: [
    'Lines overlap: Shmem is in Cached, KernelStack in VmallocUsed, large kmallocs in SUnreclaim; they do not add up.',
    'MemTotal is without what the boot kept: the kernel image, struct pages, the crash kernel.',
    'AnonPages counts what is mapped; PageTables is without the top ones and the kernel’s own.',
    'Sockets, pipes, rings and what drivers took from the page allocator are in no line.',
  ],
};

/** How the figures that people know come from the rows of `memory`. */
export function familiarTable({ familiar }: MemoryAnswer, { width }: DepthOptions): string {
  if (!familiar) throw new TypeError('figures that were not asked for');
  const said = (text: string) => wrap(text, width).join('\n');
  const table = renderTable<FamiliarLine>(
    [
      { heading: familiar.of.toUpperCase(), value: ({ name }) => name },
      { heading: 'BY ROWS', align: 'right', value: byRows },
      {
        heading: 'KERNEL COUNTS',
        align: 'right',
        value: ({ kernelBytes }) => (kernelBytes === null ? '?' : formatSize(kernelBytes)),
      },
      { heading: 'DIFFERENCE', align: 'right', value: difference, spare: 1 },
      { heading: 'ROWS', value: rowsCell, shrinks: { keeps: 'start', least: 16 } },
    ],
    familiar.lines,
    width,
  );
  const nowhere = familiar.nowhere.map((one) => `${categoryWords(one)} ${formatSize(one.bytes)}`);
  return [
    table,
    ...(nowhere.length > 0 ? [said(`In no line but the first: ${nowhere.join(', ')}.`)] : []),
    ...MISLEADS[familiar.of].map(said),
  ].join('\n\n');
}

const SIGN = { same: '', 'at-most': '≤ ', 'at-least': '≥ ' } as const;

function byRows({ bytes, bound }: FamiliarLine): string {
  return bytes === null ? '?' : `${SIGN[bound]}${formatSize(bytes)}`;
}

/** Of what should be the same, or what contradicts a bound; on a running machine counters move. */
function difference({ bytes, kernelBytes, bound }: FamiliarLine): string {
  if (bytes === null || kernelBytes === null) return '';
  const by = bytes - kernelBytes;
  if (by === 0 || (bound === 'at-most' && by > 0) || (bound === 'at-least' && by < 0)) return '';
  return `${by > 0 ? '+' : '-'}${formatSize(Math.abs(by))}`;
}

function rowsCell({ name, rows }: FamiliarLine): string {
  if (rows.length > 0) return rows.map((category) => categoryWords({ category })).join(' + ');
  return OTHERS[name] ?? '';
}

/** Lines that are made of others. */
const OTHERS: Readonly<Record<string, string>> = {
  total: 'all rows, less what the boot kept',
  MemTotal: 'all rows, less what the boot kept',
  'used (procps 4)': 'total - available',
  'used (before)': 'total - free - buff/cache',
};
