import type { MemoryAnswer } from '../../../account/memory/answer.js';
import { categoryWords } from '../../../account/memory/category-names.js';
import type { CgroupFigures, ChargedPart, UnnamedCharges } from '../../../account/memory/cgroups.js';
import { chargedBytes, fileName } from '../../../account/memory/files.js';
import { escapeText } from '../../../base/escape.js';
import { count, formatCount, formatSize } from '../../../base/size.js';
import { wrap } from '../../text/cut.js';
import { type Column, type ListOptions, renderTable } from '../../text/table.js';

interface Row extends ChargedPart {
  readonly label: string;
  readonly cgroup?: CgroupFigures;
}

/** Formats categories by the cgroup that pages are charged to. */
export function cgroupsTable({ cgroups, files }: MemoryAnswer, { limit, width }: ListOptions): string {
  if (!cgroups) return 'Cgroup charges are unknown: see the warnings.';
  const { uncharged, slabs, unnamed, empty } = cgroups;
  const shown = cgroups.cgroups.slice(0, limit);
  const left = cgroups.cgroups.slice(limit);
  const rows: Row[] = [
    ...shown.map((cgroup) => ({ ...cgroup, label: cgroupWords(cgroup), cgroup })),
    { ...slabs, label: '(slabs, charged by object)' },
    { ...uncharged, label: '(uncharged)' },
    ...unnamed.map((part) => ({ ...part, label: REASONS[part.reason] })),
  ].filter(({ bytes, cgroup }: Row) => bytes > 0 || cgroup !== undefined);
  const dying = cgroups.cgroups.filter((cgroup) => cgroup.dying);
  const bytes = left.reduce((sum, cgroup) => sum + cgroup.bytes, 0);
  const all = [...cgroups.cgroups, uncharged, slabs, ...unnamed];
  const sum = all.reduce((total, part) => total + part.bytes, 0);
  const sentences = [
    ...(left.length > 0
      ? [`${formatCount(left.length)} more cgroups with ${formatSize(bytes)}: --limit N lists them.`]
      : []),
    ...(dying.length > 0 ? [`${dyingWords(dying)}${pinningWords(files)}`] : []),
    `Total: ${formatSize(sum)}. Each page is charged to one cgroup, even if others use it. OBJECTS: slab objects, which are charged separately. KERNEL COUNTER: includes child cgroups, slab objects and per-CPU stock.${empty > 0 ? ` ${formatCount(empty)} cgroups have no charges.` : ''}`,
  ];
  return [renderTable(COLUMNS, rows, width), ...sentences.map((words) => wrap(words, width).join('\n'))].join('\n\n');
}

const REASONS: Readonly<Record<UnnamedCharges['reason'], string>> = {
  unread: '(unreadable struct pages)',
  unreadable: '(unreadable cgroups)',
  damaged: '(corrupt charges)',
  'not-listed': '(cgroups beyond the list limit)',
};

const COLUMNS: readonly Column<Row>[] = [
  { heading: 'CGROUP', value: ({ label }) => label, shrinks: { keeps: 'ends', least: 16 } },
  { heading: 'BYTES', align: 'right', value: ({ bytes }) => formatSize(bytes) },
  {
    heading: 'OBJECTS',
    align: 'right',
    value: ({ cgroup }) => (cgroup === undefined ? '' : formatSize(cgroup.slabObjectBytes)),
  },
  {
    heading: 'KERNEL COUNTER',
    align: 'right',
    value: ({ cgroup }) => (cgroup?.usageBytes == null ? '' : formatSize(cgroup.usageBytes)),
    spare: 1,
  },
  { heading: 'CATEGORIES', value: ({ categories }) => wheres(categories), shrinks: { keeps: 'start', least: 12 } },
];

const SHOWN_CATEGORIES = 3;

function wheres(categories: ChargedPart['categories']): string {
  const words = categories
    .slice(0, SHOWN_CATEGORIES)
    .map((category) => `${categoryWords(category)} ${formatSize(category.bytes)}`);
  return [...words, ...(categories.length > SHOWN_CATEGORIES ? ['…'] : [])].join(', ');
}

function cgroupWords({ path, dying }: CgroupFigures): string {
  return `${escapeText(path)}${dying ? ' (dying)' : ''}`;
}

const SHOWN_FILES = 5;

/** The files whose pages keep dying cgroups. */
function pinningWords(files: MemoryAnswer['files']): string {
  const pins = (files?.files ?? []).flatMap((file) => {
    const bytes = chargedBytes({ cgroups: file.cgroups?.filter(({ dying }) => dying) ?? null });
    return bytes === 0 ? [] : [{ name: escapeText(fileName(file)), bytes }];
  });
  if (pins.length === 0) return '';
  const most = pins.toSorted((a, b) => b.bytes - a.bytes).slice(0, SHOWN_FILES);
  const words = most.map(({ name, bytes }) => `${name} ${formatSize(bytes)}`);
  const others = pins.length - most.length;
  return ` Files that keep them: ${words.join(', ')}${others > 0 ? ` and ${formatCount(others)} more` : ''}.`;
}

/** Summarizes dying cgroups (removed, still charged) and the memory charged to them. */
function dyingWords(dying: readonly CgroupFigures[]): string {
  const bytes = dying.reduce((sum, cgroup) => sum + cgroup.bytes, 0);
  const objects = dying.reduce((sum, cgroup) => sum + cgroup.slabObjects, 0);
  const byNothing = dying.filter((cgroup) => cgroup.bytes === 0 && cgroup.slabObjects === 0).length;
  const others = byNothing > 0 ? ` Kept by swap or a reference only: ${formatCount(byNothing)}.` : '';
  return `${count(dying.length, 'dying cgroup')} (removed, still charged): ${formatSize(bytes)} of pages and ${formatCount(objects)} slab objects.${others}`;
}
