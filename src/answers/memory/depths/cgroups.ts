import type { MemoryAnswer } from '../../../account/memory/answer.js';
import type {
  CgroupFigures,
  ChargedPart,
  UnnamedCharges,
} from '../../../account/memory/cgroups.js';
import { wrap } from '../../text/cut.js';
import { escapeText } from '../../text/escape.js';
import { formatCount, formatSize } from '../../text/size.js';
import { type Column, renderTable } from '../../text/table.js';
import { categoryWords } from '../words.js';
import type { DepthOptions } from './depth.js';

interface Row extends ChargedPart {
  readonly who: string;
  readonly cgroup?: CgroupFigures;
}

/** Categories by cgroup: whom each page is charged to. */
export function cgroupsTable({ cgroups }: MemoryAnswer, { limit, width }: DepthOptions): string {
  if (cgroups === undefined) return 'Whom memory is charged to cannot be told: see the warnings.';
  const { nobody, slabs, unnamed, empty } = cgroups;
  const shown = cgroups.cgroups.slice(0, limit);
  const left = cgroups.cgroups.slice(limit);
  const rows: Row[] = [
    ...shown.map((cgroup) => ({ ...cgroup, who: cgroupWords(cgroup), cgroup })),
    { ...slabs, who: '(slabs: by object)' },
    { ...nobody, who: '(nobody)' },
    ...unnamed.map((one) => ({ ...one, who: REASONS[one.reason] })),
  ].filter(({ bytes, cgroup }: Row) => bytes > 0 || cgroup !== undefined);
  const dying = cgroups.cgroups.filter((cgroup) => cgroup.dying);
  const bytes = left.reduce((sum, one) => sum + one.bytes, 0);
  const all = [...cgroups.cgroups, nobody, slabs, ...unnamed];
  const sum = all.reduce((total, one) => total + one.bytes, 0);
  const said = [
    ...(left.length > 0
      ? [`${formatCount(left.length)} more have ${formatSize(bytes)}: --limit N lists them.`]
      : []),
    ...(dying.length > 0 ? [dyingWords(dying)] : []),
    `All of it: ${formatSize(sum)}. A page is charged to one cgroup, whoever else uses it; an object in a slab has a charge of its own (OBJECTS). KERNEL COUNTS: with cgroups below, objects, and what CPUs keep in stock.${empty > 0 ? ` ${formatCount(empty)} cgroups have nothing.` : ''}`,
  ];
  return [
    renderTable(COLUMNS, rows, width),
    ...said.map((words) => wrap(words, width).join('\n')),
  ].join('\n\n');
}

const REASONS: Readonly<Record<UnnamedCharges['reason'], string>> = {
  unread: '(struct pages that cannot be read)',
  unreadable: '(cgroups that cannot be read)',
  damaged: '(what leads to no cgroup)',
  'not-listed': '(more cgroups than are listed)',
};

const COLUMNS: readonly Column<Row>[] = [
  { heading: 'CGROUP', value: ({ who }) => who, shrinks: { keeps: 'ends', least: 16 } },
  { heading: 'BYTES', align: 'right', value: ({ bytes }) => formatSize(bytes) },
  {
    heading: 'OBJECTS',
    align: 'right',
    value: ({ cgroup }) => (cgroup === undefined ? '' : formatSize(cgroup.slabBytes)),
  },
  {
    heading: 'KERNEL COUNTS',
    align: 'right',
    value: ({ cgroup }) => (cgroup?.usageBytes === undefined ? '' : formatSize(cgroup.usageBytes)),
    spare: 1,
  },
  {
    heading: 'WHERE',
    value: ({ categories }) => wheres(categories),
    shrinks: { keeps: 'start', least: 12 },
  },
];

const SHOWN_CATEGORIES = 3;

function wheres(categories: ChargedPart['categories']): string {
  const words = categories
    .slice(0, SHOWN_CATEGORIES)
    .map((one) => `${categoryWords(one)} ${formatSize(one.bytes)}`);
  return [...words, ...(categories.length > SHOWN_CATEGORIES ? ['…'] : [])].join(', ');
}

function cgroupWords({ path, dying }: CgroupFigures): string {
  return `${escapeText(path)}${dying ? ' (dying)' : ''}`;
}

/** What keeps cgroups whose folders were removed. */
function dyingWords(dying: readonly CgroupFigures[]): string {
  const bytes = dying.reduce((sum, one) => sum + one.bytes, 0);
  const objects = dying.reduce((sum, one) => sum + one.slabObjects, 0);
  const byNothing = dying.filter((one) => one.bytes === 0 && one.slabObjects === 0).length;
  const others =
    byNothing > 0 ? ` Of ${formatCount(byNothing)} neither: swap, or a reference, keeps them.` : '';
  return `${formatCount(dying.length)} dying: removed, and kept by ${formatSize(bytes)} of pages and ${formatCount(objects)} objects that are charged to them.${others}`;
}
