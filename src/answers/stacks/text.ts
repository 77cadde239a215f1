import type { StacksAnswer } from '../../profile/faults/answer.js';
import { newBytes, type SpaceSum, type StackSum } from '../../profile/faults/stack-sums.js';
import { wrap } from '../text/cut.js';
import { escapeText } from '../text/escape.js';
import { formatCount, formatSize } from '../text/size.js';
import { type Column, renderTable } from '../text/table.js';
import { baseName, frameName } from './frame-name.js';
import { callTree, type TreeLine } from './tree.js';

export interface StacksTextOptions {
  /** Rows of each table. */
  readonly limit: number;
  /** Columns of the terminal; null: there is none, and nothing is cut or broken. */
  readonly width: number | null;
}

/** Who allocates: how much, which functions, the tree of their callers, and how sure that is. */
export function stacksText(answer: StacksAnswer, { limit, width }: StacksTextOptions): string {
  const { functions, stacks, space } = answer;
  const said = (text: string) => wrap(text, width).join('\n');
  const total = newBytes(answer);
  const tree = callTree(stacks, 2 * limit);
  return [
    said(headline(answer, total)),
    ...(total === 0
      ? []
      : [
          renderTable(functionColumns(total), functions.slice(0, limit), width),
          ...more(functions.length - limit, 'functions').map(said),
          renderTable(treeColumns(total), tree, width),
        ]),
    ...(space ? spaceWords(space, width) : []),
    said(aboutWords(answer).join(' ')),
  ].join('\n\n');
}

function headline({ pid, comm, seconds, anonymous, shared, hugetlb }: StacksAnswer, total: number) {
  const who = `pid ${pid} (${escapeText(comm)})`;
  const time = `${seconds.toFixed(1)} s`;
  if (total === 0) return `${who}: no new memory in ${time}.`;
  const rate = seconds > 0 ? `, ${formatSize(Math.round(total / seconds))} a second` : '';
  const parts = [
    ...(anonymous.bytes > 0 ? [`${formatSize(anonymous.bytes)} anonymous`] : []),
    ...(shared.bytes > 0
      ? [`${formatSize(shared.bytes)} shared (at most: others may have touched it before)`]
      : []),
    ...(hugetlb.bytes > 0 ? [`${formatSize(hugetlb.bytes)} of hugetlb`] : []),
  ];
  return `${who}: ${formatSize(total)} of new memory in ${time}${rate}: ${parts.join(', ')}. What was given back meanwhile is not taken off.`;
}

function more(count: number, what: string): string[] {
  return count > 0 ? [`${formatCount(count)} more ${what}: --limit N lists them.`] : [];
}

function share(bytes: number, total: number): string {
  return `${((100 * bytes) / total).toFixed(0)} %`;
}

function functionColumns(total: number): Column<StackSum>[] {
  return [
    { heading: 'NEW', align: 'right', value: (sum) => formatSize(newBytes(sum)) },
    { heading: 'SHARE', align: 'right', value: (sum) => share(newBytes(sum), total) },
    {
      heading: 'FUNCTION THAT ALLOCATES',
      value: ({ frames: [frame] }) => (frame ? frameName(frame) : '(no stack)'),
      shrinks: { keeps: 'start', least: 20 },
    },
    {
      heading: 'IN',
      value: ({ frames: [frame] }) => (frame ? escapeText(baseName(frame.module)) : ''),
      shrinks: { keeps: 'ends', least: 12 },
      spare: 1,
    },
  ];
}

function treeColumns(total: number): Column<TreeLine>[] {
  return [
    { heading: 'NEW', align: 'right', value: ({ bytes }) => formatSize(bytes) },
    { heading: 'SHARE', align: 'right', value: ({ bytes }) => share(bytes, total) },
    {
      heading: 'CALLED BY WHOM',
      value: ({ depth, names }) => `${'  '.repeat(depth)}${names.join(' → ')}`,
      shrinks: { keeps: 'ends', least: 20 },
    },
  ];
}

/** Calls for address space, which is memory only when it is touched. */
function spaceWords(
  { mmap, brk }: NonNullable<StacksAnswer['space']>,
  width: number | null,
): string[] {
  const rows = [
    ...mmap.map((sum) => ({ call: 'mmap', ...sum })),
    ...brk.map((sum) => ({ call: 'brk', ...sum })),
  ].toSorted((a, b) => b.bytes - a.bytes);
  if (rows.length === 0) return [];
  const columns: Column<SpaceSum & { readonly call: string }>[] = [
    { heading: 'ASKED FOR', align: 'right', value: ({ bytes }) => formatSize(bytes) },
    { heading: 'CALLS', align: 'right', value: ({ calls }) => formatCount(calls) },
    { heading: 'BY', value: ({ call }) => call },
    {
      heading: 'ADDRESS SPACE, CALLED BY WHOM',
      value: ({ frames }) => frames.toReversed().map(frameName).join(' → '),
      shrinks: { keeps: 'ends', least: 20 },
    },
  ];
  return [renderTable(columns, rows.slice(0, 5), width)];
}

/** How far the figures are known. */
function aboutWords(answer: StacksAnswer): string[] {
  const { period, samples, kernelCounts, minorFaults, majorFaults, ofChildren } = answer;
  const { file, unknown, swappedIn, cutBytes, pageSizesKnown, pageSize, anonymousGrowth } = answer;
  const total = newBytes(answer);
  const faults = `${formatCount(minorFaults + majorFaults)} page faults`;
  return [
    period === 1
      ? `${faults}, each of them recorded.`
      : `About ${faults}: one of ${period} was recorded, ${formatCount(samples)} in all; figures are estimates.`,
    ...(kernelCounts
      ? [
          `The kernel counted ${formatCount(kernelCounts.atLeast)}${kernelCounts.atMost === kernelCounts.atLeast ? '' : ` to ${formatCount(kernelCounts.atMost)}`}.`,
        ]
      : []),
    ...(anonymousGrowth === null ? [] : [`RssAnon grew by ${signed(anonymousGrowth)}.`]),
    ...(file.faults > 0 ? [`${formatCount(file.faults)} faults were on files.`] : []),
    ...(unknown.faults > 0
      ? [`${formatCount(unknown.faults)} were on mappings that perf does not know.`]
      : []),
    ...(swappedIn.bytes > 0 ? [`${formatSize(swappedIn.bytes)} came back from swap.`] : []),
    ...(ofChildren > 0
      ? [`${formatCount(ofChildren)} faults of its children are not counted.`]
      : []),
    ...(cutBytes > 0 && total > 0
      ? [
          `The stacks of ${share(cutBytes, total)} do not reach the beginning of their threads: perf copies 8 KiB of a stack, or has nothing to unwind it by.`,
        ]
      : []),
    ...(pageSizesKnown
      ? []
      : [
          `Sizes of pages are not told by this perf: each fault counts as ${formatSize(pageSize)}, also of a huge page.`,
        ]),
  ];
}

function signed(bytes: number): string {
  return bytes < 0 ? `−${formatSize(-bytes)}` : formatSize(bytes);
}
