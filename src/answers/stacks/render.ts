import { escapeText } from '../../base/escape.js';
import { formatCount, formatSize } from '../../base/size.js';
import type { AllocationStacks, Frame, FunctionSum, SpaceSum } from '../../contracts/stacks.js';
import { speedscopeFile } from '../speedscope-file.js';
import { wrap } from '../text/cut.js';
import { type Column, type ListOptions, renderTable } from '../text/table.js';
import { baseName, callTree, frameName, type TreeLine } from './tree.js';

/** New memory of a process: functions, the tree of their callers, and limits of the figures. */
export function stacksText(answer: AllocationStacks, { limit, width }: ListOptions): string {
  const { newBytes: total, functions, stacks, addressSpace } = answer;
  const wrapped = (text: string) => wrap(text, width).join('\n');
  const tree = callTree(stacks, 2 * limit);
  return [
    wrapped(headline(answer)),
    ...(total === 0
      ? []
      : [
          renderTable(functionColumns(total), functions.slice(0, limit), width),
          ...more(functions.length - limit, 'functions').map(wrapped),
          renderTable(treeColumns(total), tree, width),
        ]),
    ...(addressSpace ? spaceWords(addressSpace, width) : []),
    wrapped(aboutWords(answer).join(' ')),
  ].join('\n\n');
}

function headline({ pid, comm, seconds, anonymous, shared, hugetlb, ...answer }: AllocationStacks) {
  const owner = `pid ${pid} (${escapeText(comm)})`;
  const time = `${seconds.toFixed(1)} s`;
  if (answer.newBytes === 0) return `${owner}: no new memory in ${time}.`;
  const rate = answer.newBytesPerSecond === null ? '' : `, ${formatSize(answer.newBytesPerSecond)}/s`;
  const parts = [
    ...(anonymous.bytes > 0 ? [`${formatSize(anonymous.bytes)} anonymous`] : []),
    ...(shared.bytes > 0
      ? [`${formatSize(shared.bytes)} shared (at most: other processes may have faulted it in before)`]
      : []),
    ...(hugetlb.bytes > 0 ? [`${formatSize(hugetlb.bytes)} hugetlb`] : []),
  ];
  return `${owner} allocated ${formatSize(answer.newBytes)} in ${time}${rate}: ${parts.join(', ')}. Memory freed meanwhile is not subtracted.`;
}

function more(count: number, what: string): string[] {
  return count > 0 ? [`${formatCount(count)} more ${what}: --limit N lists them.`] : [];
}

function share(bytes: number, total: number): string {
  return `${((100 * bytes) / total).toFixed(0)} %`;
}

function functionColumns(total: number): Column<FunctionSum>[] {
  return [
    { heading: 'NEW', align: 'right', value: ({ newBytes }) => formatSize(newBytes) },
    { heading: 'SHARE', align: 'right', value: ({ newBytes }) => share(newBytes, total) },
    {
      heading: 'ALLOCATING FUNCTION',
      value: ({ frame }) => (frame ? frameName(frame) : '(no stack)'),
      shrinks: { keeps: 'start', least: 20 },
    },
    {
      heading: 'MODULE',
      value: ({ frame }) => (frame ? escapeText(baseName(frame.module)) : ''),
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
      heading: 'CALL TREE',
      value: ({ depth, names }) => `${'  '.repeat(depth)}${names.join(' → ')}`,
      shrinks: { keeps: 'ends', least: 20 },
    },
  ];
}

/** Calls for address space, which is memory only when it is touched. */
function spaceWords({ mmap, brk }: NonNullable<AllocationStacks['addressSpace']>, width: number | null): string[] {
  const rows = [
    ...mmap.map((sum) => ({ call: 'mmap', ...sum })),
    ...brk.map((sum) => ({ call: 'brk', ...sum })),
  ].toSorted((a, b) => b.bytes - a.bytes);
  if (rows.length === 0) return [];
  const columns: Column<SpaceSum & { readonly call: string }>[] = [
    { heading: 'REQUESTED', align: 'right', value: ({ bytes }) => formatSize(bytes) },
    { heading: 'CALLS', align: 'right', value: ({ calls }) => formatCount(calls) },
    { heading: 'CALL', value: ({ call }) => call },
    {
      heading: 'ADDRESS SPACE BY CALL CHAIN',
      value: ({ frames }) => frames.toReversed().map(frameName).join(' → '),
      shrinks: { keeps: 'ends', least: 20 },
    },
  ];
  return [renderTable(columns, rows.slice(0, 5), width)];
}

/** How far the figures are known. */
function aboutWords(answer: AllocationStacks): string[] {
  const { period, samples, kernelFaults, minorFaults, majorFaults, childFaults } = answer;
  const { file, unknown, swappedIn, truncatedBytes, pageSizesKnown, pageSize, anonymousGrowthBytes } = answer;
  const faults = `${formatCount(minorFaults + majorFaults)} page faults`;
  return [
    period === 1
      ? `${faults}, all recorded.`
      : `About ${faults}. One of ${period} was recorded (${formatCount(samples)} in total), so figures are estimates.`,
    ...(kernelFaults
      ? [
          `The kernel counted ${formatCount(kernelFaults.atLeast)}${kernelFaults.atMost === kernelFaults.atLeast ? '' : ` to ${formatCount(kernelFaults.atMost)}`}.`,
        ]
      : []),
    ...(anonymousGrowthBytes === null ? [] : [`RssAnon grew by ${signed(anonymousGrowthBytes)}.`]),
    ...(file.faults > 0 ? [`${formatCount(file.faults)} faults were on files.`] : []),
    ...(unknown.faults > 0 ? [`${formatCount(unknown.faults)} were on mappings unknown to perf.`] : []),
    ...(swappedIn.bytes > 0 ? [`${formatSize(swappedIn.bytes)} was swapped in.`] : []),
    ...(childFaults > 0 ? [`${formatCount(childFaults)} faults of child processes are not counted.`] : []),
    ...(truncatedBytes > 0 && answer.newBytes > 0
      ? [
          `${share(truncatedBytes, answer.newBytes)} has incomplete stacks: perf copies only 8 KiB of a stack, or cannot unwind it.`,
        ]
      : []),
    ...(pageSizesKnown
      ? []
      : [`This perf does not report page sizes: each fault counts as ${formatSize(pageSize)}, even for huge pages.`]),
  ];
}

function signed(bytes: number): string {
  return bytes < 0 ? `−${formatSize(-bytes)}` : formatSize(bytes);
}

/**
 * Folded stacks, as flamegraph.pl and others read them: a line each, the outermost function first, and the
 * bytes of new memory.
 */
export function foldedStacks({ stacks, comm }: AllocationStacks): string[] {
  const own = [escapeSeparators(frameName({ symbol: comm, module: '', offset: null }))];
  return stacks
    .filter(({ newBytes }) => newBytes > 0)
    .map((stack) => {
      const names = stack.frames.toReversed().map((frame) => escapeSeparators(frameName(frame)));
      return `${[...own, ...(names.length > 0 ? names : ['[no stack]'])].join(';')} ${stack.newBytes}`;
    });
}

/** A semicolon parts functions. */
function escapeSeparators(name: string): string {
  return name.replaceAll(';', '\\x3b');
}

/** A file for speedscope, weighed by bytes of new memory. */
export function speedscope(answer: AllocationStacks, version: string): object {
  const frames: { name: string; file: string }[] = [];
  const numbers = new Map<Frame, number>();
  const numberOf = (frame: Frame): number => {
    const known = numbers.get(frame);
    if (known !== undefined) return known;
    numbers.set(frame, frames.length);
    return frames.push({ name: frameName(frame), file: frame.module }) - 1;
  };
  const stacks = answer.stacks.filter(({ newBytes }) => newBytes > 0);
  const name = `pid ${answer.pid} (${answer.comm}): new memory in ${answer.seconds.toFixed(1)} s`;
  return speedscopeFile({
    version,
    name,
    frames,
    stacks: stacks.map((stack) => ({ frames: stack.frames.toReversed().map(numberOf), bytes: stack.newBytes })),
  });
}
