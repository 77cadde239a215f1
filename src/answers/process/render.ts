import {
  groupsOfMappings,
  type MappingGroup,
  type ProcessAnswer,
  totalOfMappings,
} from '../../account/processes/mappings.js';
import { escapeText } from '../../base/escape.js';
import { formatCount, formatSize } from '../../base/size.js';
import { hex } from '../../base/util.js';
import type { Descriptors } from '../../records/files.js';
import type { Mapping, MappingKind, MappingSizes } from '../../records/mappings.js';
import { leavesComplete, type Warning } from '../../walk/warnings.js';
import { kernelJson } from '../kernel-json.js';
import { capturedJson, capturedWords } from '../origin.js';
import { processJson as recordJson } from '../procs/json.js';
import { wrap } from '../text/cut.js';
import { type Column, renderTable } from '../text/table.js';
import type { ProcessFdsJson, ProcessJson } from './schema.js';

export function processJson(answer: ProcessAnswer): ProcessJson {
  const { kernel, process, mappings, complete, warnings } = answer;
  const total = totalOfMappings(mappings);
  return {
    schema: 'kdump-mem.process/1',
    kernel: kernel === undefined ? null : kernelJson(kernel),
    source: kernel === undefined ? 'proc' : kernel.source,
    captured: capturedJson(answer.captured),
    ...recordJson(process),
    mappings: mappings.map(mappingJson),
    groups: groupsOfMappings(mappings).map(({ kind, name, mappings: many, size, ...sizes }) => ({
      kind,
      path: name === '' ? null : name,
      mappings: many,
      sizeBytes: size,
      ...sizesJson(sizes),
    })),
    mapped: { mappings: total.mappings, sizeBytes: total.size, ...sizesJson(total) },
    complete,
    warnings,
  };
}

function mappingJson(mapping: Mapping): ProcessJson['mappings'][number] {
  const { start, end, permissions, offset, kind, name } = mapping;
  return {
    start: hex(start),
    end: hex(end),
    permissions,
    offset: hex(offset),
    kind,
    path: name === '' ? null : name,
    sizeBytes: Number(end - start),
    ...sizesJson(mapping),
  };
}

function sizesJson(sizes: MappingSizes) {
  return {
    rssBytes: sizes.rss,
    pssBytes: sizes.pss,
    privateCleanBytes: sizes.privateClean,
    privateDirtyBytes: sizes.privateDirty,
    sharedCleanBytes: sizes.sharedClean,
    sharedDirtyBytes: sizes.sharedDirty,
    referencedBytes: sizes.referenced,
    anonBytes: sizes.anonymous,
    anonHugeBytes: sizes.anonymousHuge,
    shmemHugeBytes: sizes.shmemHuge,
    fileHugeBytes: sizes.fileHuge,
    privateHugetlbBytes: sizes.privateHugetlb,
    sharedHugetlbBytes: sizes.sharedHugetlb,
    swapBytes: sizes.swap,
    swapPssBytes: sizes.swapPss,
    lockedBytes: sizes.locked,
  };
}

export interface ProcessTextOptions {
  /** Maximum number of rows; undefined: 20, but all mappings. */
  readonly limit?: number | undefined;
  /** List every mapping. */
  readonly verbose?: boolean | undefined;
  /** The options that name the dump, for the next command, as shell words. */
  readonly source: string;
  /** Columns of the terminal; null: no terminal, and nothing is cut or wrapped. */
  readonly width: number | null;
}

/** Formats the answer to `procs --pid`: totals and the largest mapping, then a table and its sum. */
export function processText(answer: ProcessAnswer, options: ProcessTextOptions): string {
  const { width, source, verbose = false } = options;
  const { mappings } = answer;
  const groups = groupsOfMappings(mappings);
  const { limit = verbose ? mappings.length : 20 } = options;
  const more = (verbose ? mappings.length : groups.length) - limit;
  const said = (text: string) => wrap(text, width).join('\n');
  return [
    said(headline(answer, groups[0])),
    verbose
      ? renderTable(mappingColumns(mappings), mappings.slice(0, limit), width)
      : renderTable(groupColumns(groups), groups.slice(0, limit), width),
    ...(more > 0 ? [said(`${formatCount(more)} more rows: --limit N lists them.`)] : []),
    said(totalWords(mappings)),
    ...(verbose ? [] : [`More: kdump-mem procs ${source} --pid ${answer.process.pid} -v`]),
    `Next: ${answer.kernel ? `kdump-mem skb ${source}` : `skcheck${answer.captured ? ` ${source}` : ''}`} --pid ${answer.process.pid}`,
  ].join('\n\n');
}

function headline({ process, mappings, captured }: ProcessAnswer, most: MappingGroup | undefined): string {
  const { pid, comm, sharedWith } = process;
  const shared = sharedWith.length === 0 ? '' : `, shared with pid ${sharedWith.join(', ')}`;
  const largest = most === undefined || !most.own ? '' : ` Largest private part: ${nameOf(most)}, ${known(most.own)}.`;
  return `pid ${pid} (${escapeText(comm)})${shared}: PSS ${known(process.pss)}, USS ${known(process.uss)}, swap ${known(process.swap)}, in ${formatCount(mappings.length)} mappings. Memory of its sockets is not included.${largest}${captured ? ` As ${capturedWords(captured)}.` : ''}`;
}

function totalWords(mappings: readonly Mapping[]): string {
  const total = totalOfMappings(mappings);
  const { privateClean, privateDirty, sharedClean, sharedDirty } = total;
  const huge = (total.privateHugetlb ?? 0) + (total.sharedHugetlb ?? 0);
  return `Total of ${formatCount(mappings.length)} mappings: private ${sum(privateClean, privateDirty)} (dirty ${known(privateDirty)}), shared ${sum(sharedClean, sharedDirty)} (dirty ${known(sharedDirty)}), PSS ${known(total.pss)}, RSS ${known(total.rss)}, swap ${known(total.swap)}${huge > 0 ? `, hugetlb ${formatSize(huge)}` : ''}. Address space: ${formatSize(total.size)}.`;
}

/** Printed names of mappings without a name. */
const KIND_WORDS: Readonly<Record<MappingKind, string>> = {
  file: '(file)',
  shmem: '(shared memory)',
  memfd: '(memfd)',
  sysv: '(System V shared memory)',
  'shared-anonymous': '(shared anonymous)',
  hugetlb: '(huge pages)',
  device: '(device memory)',
  heap: '(heap)',
  stack: '(stack)',
  anonymous: '(anonymous)',
  vdso: '(vdso)',
  kernel: '(kernel)',
};

function nameOf({ name, kind }: Pick<MappingGroup, 'name' | 'kind'>): string {
  return name === '' ? KIND_WORDS[kind] : escapeText(name);
}

function known(bytes: number | null): string {
  return bytes === null ? '?' : formatSize(bytes);
}

function sum(a: number | null, b: number | null): string {
  return a === null || b === null ? '?' : formatSize(a + b);
}

function sizeColumn<Row extends MappingSizes>(
  heading: string,
  value: (row: Row) => string,
  spare?: number,
): Column<Row> {
  const column = { heading, align: 'right', value } as const;
  return spare === undefined ? column : { ...column, spare };
}

/** Returns columns that both tables contain; empty ones are omitted. */
function sizeColumns<Row extends MappingSizes>(rows: readonly Row[]): Column<Row>[] {
  const any = (...names: (keyof MappingSizes)[]) => rows.some((row) => names.some((name) => (row[name] ?? 0) > 0));
  return [
    sizeColumn('PRIVATE', (row) => sum(row.privateClean, row.privateDirty)),
    sizeColumn('DIRTY', (row) => known(row.privateDirty)),
    sizeColumn('PSS', (row) => known(row.pss), 2),
    sizeColumn('RSS', (row) => known(row.rss), 3),
    ...(any('swap') ? [sizeColumn<Row>('SWAP', (row) => known(row.swap))] : []),
    ...(any('privateHugetlb', 'sharedHugetlb')
      ? [sizeColumn<Row>('HUGETLB', (row) => sum(row.privateHugetlb, row.sharedHugetlb), 1)]
      : []),
    ...(any('anonymousHuge') ? [sizeColumn<Row>('THP', (row) => known(row.anonymousHuge), 5)] : []),
    ...(any('locked') ? [sizeColumn<Row>('LOCKED', (row) => known(row.locked), 4)] : []),
  ];
}

function groupColumns(groups: readonly MappingGroup[]): Column<MappingGroup>[] {
  return [
    ...sizeColumns(groups),
    { heading: 'MAPPINGS', align: 'right', value: ({ mappings }) => formatCount(mappings), spare: 6 },
    { heading: 'KIND', value: ({ kind }) => kind, spare: 7 },
    { heading: 'NAME', value: nameOf, shrinks: { keeps: 'ends', least: 16 } },
  ];
}

function mappingColumns(mappings: readonly Mapping[]): Column<Mapping>[] {
  return [
    { heading: 'START', align: 'right', value: ({ start }) => hex(start).slice(2) },
    { heading: 'SIZE', align: 'right', value: ({ start, end }) => formatSize(Number(end - start)), spare: 8 },
    { heading: 'MODE', value: ({ permissions }) => permissions },
    ...sizeColumns(mappings),
    { heading: 'NAME', value: nameOf, shrinks: { keeps: 'ends', least: 12 } },
  ];
}

/** The answer to `procs --pid --fds`. */
export interface DescriptorsAnswer extends Descriptors {
  readonly warnings: readonly Warning[];
  readonly complete: boolean;
}

/** Share of RLIMIT_NOFILE from which the headline names the limit as nearly reached. */
const NEAR = 0.9;

/** @param known warnings of the reader; default: it counts unreadable descriptors alone */
export function descriptorsAnswer(found: Descriptors, known: readonly Warning[] = []): DescriptorsAnswer {
  const message = `${formatCount(found.unreadable)} descriptors of pid ${found.pid} could not be read: their kind is unknown`;
  const more = found.unreadable > 0 ? [{ code: 'unreadable', message } as const] : [];
  const warnings = [...known, ...more];
  return { ...found, warnings, complete: warnings.every(leavesComplete) };
}

/** `kdump-mem.process-fds/1`. */
export function descriptorsJson(answer: DescriptorsAnswer): ProcessFdsJson {
  const { pid, comm, count, limit, groups, passed, warnings, complete } = answer;
  return { schema: 'kdump-mem.process-fds/1', pid, comm, count, limit, groups, passed, complete, warnings };
}

const COLUMNS: readonly Column<DescriptorsAnswer['groups'][number]>[] = [
  { heading: 'KIND', value: ({ kind }) => kind },
  { heading: 'COUNT', align: 'right', value: ({ count }) => formatCount(count) },
  { heading: 'BYTES', align: 'right', value: ({ bytes }) => (bytes === null ? '-' : formatSize(bytes)) },
  { heading: 'WATCHES', align: 'right', value: ({ items }) => (items === null ? '-' : formatCount(items)), spare: 1 },
  {
    heading: 'MOST FREQUENT',
    value: ({ names }) => names.map(({ name, count }) => `${escapeText(name)} (${formatCount(count)})`).join(', '),
    shrinks: { keeps: 'start', least: 20 },
  },
];

/** A sentence, and a table by kind. @param width columns of the terminal; null: no terminal */
export function descriptorsText(answer: DescriptorsAnswer, width: number | null): string {
  const { pid, comm, count, limit, groups, passed } = answer;
  const name = comm === null ? '' : ` (${escapeText(comm)})`;
  const of = limit === null ? '' : `, of at most ${formatCount(limit)} (RLIMIT_NOFILE)`;
  const near = limit !== null && count >= NEAR * limit ? ' The limit is nearly reached.' : '';
  const [most] = groups;
  const mostly = most ? ` Most frequent kind: ${most.kind}, ${formatCount(most.count)}.` : '';
  const [large] = groups.toSorted((a, b) => (b.bytes ?? 0) - (a.bytes ?? 0));
  const largest = large?.bytes ? ` Largest kind: ${large.kind}, ${formatSize(large.bytes)}.` : '';
  const more = passed
    ? ` It has not received ${formatCount(passed)} passed descriptors (SCM_RIGHTS): their files stay open.`
    : '';
  const head = `pid ${pid}${name} has ${formatCount(count)} descriptors open${of}.${near}${mostly}${largest}${more}`;
  const parts = [wrap(head, width).join('\n')];
  if (groups.length > 0) parts.push(renderTable(COLUMNS, groups, width));
  parts.push(
    wrap(
      'BYTES: memory of memfds and dma-bufs, of pipes in a dump, of BPF maps with --live. The other kinds are unknown here: skb and skcheck have those of sockets.',
      width,
    ).join('\n'),
  );
  return parts.join('\n\n');
}
