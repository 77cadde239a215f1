import { ownOf } from '../../account/processes/mappings.js';
import { escapeText } from '../../base/escape.js';
import { formatCount, formatSize } from '../../base/size.js';
import { hex } from '../../base/util.js';
import type { DescriptorsAnswer, Mapping, MappingGroup, MappingSizes, ProcessAnswer } from '../../contracts/process.js';
import type { MappingKind, MappingSize } from '../../records/mappings.js';
import { captureWords } from '../origin.js';
import { type Block, nextBlock, tableBlock } from '../text/blocks.js';
import type { Column } from '../text/table.js';

export interface ProcessChoice {
  /** Maximum number of rows; undefined: 20, but all mappings. */
  readonly limit?: number | undefined;
  /** List every mapping. */
  readonly verbose?: boolean | undefined;
  /** The options that name the dump, for the next command, as shell words. */
  readonly source: string;
}

/** The answer to `procs --pid`: totals and the largest mapping, then a table and its sum. */
export function processBlocks(answer: ProcessAnswer, choice: ProcessChoice): Block[] {
  const { source, verbose = false } = choice;
  const { pid, mappings, groups } = answer;
  const { limit = verbose ? mappings.length : 20 } = choice;
  const more = (verbose ? mappings.length : groups.length) - limit;
  const skb = answer.kernel ? `kdump-mem skb ${source}` : `skcheck${answer.captured ? ` ${source}` : ''}`;
  return [
    headline(answer),
    verbose
      ? tableBlock('Mappings', mappingColumns(mappings), mappings.slice(0, limit))
      : tableBlock('Mappings by file and kind', groupColumns(groups), groups.slice(0, limit)),
    ...(more > 0 ? [`${formatCount(more)} more rows: --limit N lists them.`] : []),
    totalWords(answer),
    ...(verbose ? [] : [{ heading: '', lines: [`More: kdump-mem procs ${source} --pid ${pid} -v`] }]),
    nextBlock(`${skb} --pid ${pid}`),
  ];
}

function headline({ pid, comm, sharedWith, captured, mappings, groups, ...sizes }: ProcessAnswer): string {
  const shared = sharedWith.length === 0 ? '' : `, shared with pid ${sharedWith.join(', ')}`;
  const [most] = groups;
  const own = most && ownOf(most);
  const largest = most && own ? ` Largest private part: ${nameOf(most)}, ${known(own)}.` : '';
  return `pid ${pid} (${escapeText(comm)})${shared}: PSS ${known(sizes.pssBytes)}, USS ${known(sizes.ussBytes)}, swap ${known(sizes.swapBytes)}, in ${formatCount(mappings.length)} mappings. Memory of its sockets is not included.${largest}${captured ? ` As ${captureWords(captured)}.` : ''}`;
}

function totalWords({ mapped: total }: ProcessAnswer): string {
  const { privateCleanBytes, privateDirtyBytes, sharedCleanBytes, sharedDirtyBytes } = total;
  const huge = (total.privateHugetlbBytes ?? 0) + (total.sharedHugetlbBytes ?? 0);
  return `Total of ${formatCount(total.mappings)} mappings: private ${sum(privateCleanBytes, privateDirtyBytes)} (dirty ${known(privateDirtyBytes)}), shared ${sum(sharedCleanBytes, sharedDirtyBytes)} (dirty ${known(sharedDirtyBytes)}), PSS ${known(total.pssBytes)}, RSS ${known(total.rssBytes)}, swap ${known(total.swapBytes)}${huge > 0 ? `, hugetlb ${formatSize(huge)}` : ''}. Address space: ${formatSize(total.sizeBytes)}.`;
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

function nameOf({ path, kind }: Pick<MappingGroup, 'path' | 'kind'>): string {
  return path === null ? KIND_WORDS[kind] : escapeText(path);
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
  const any = (...names: MappingSize[]) => rows.some((row) => names.some((name) => (row[name] ?? 0) > 0));
  return [
    sizeColumn('PRIVATE', (row) => sum(row.privateCleanBytes, row.privateDirtyBytes)),
    sizeColumn('DIRTY', (row) => known(row.privateDirtyBytes)),
    sizeColumn('PSS', (row) => known(row.pssBytes), 2),
    sizeColumn('RSS', (row) => known(row.rssBytes), 3),
    ...(any('swapBytes') ? [sizeColumn<Row>('SWAP', (row) => known(row.swapBytes))] : []),
    ...(any('privateHugetlbBytes', 'sharedHugetlbBytes')
      ? [sizeColumn<Row>('HUGETLB', (row) => sum(row.privateHugetlbBytes, row.sharedHugetlbBytes), 1)]
      : []),
    ...(any('anonHugeBytes') ? [sizeColumn<Row>('THP', (row) => known(row.anonHugeBytes), 5)] : []),
    ...(any('lockedBytes') ? [sizeColumn<Row>('LOCKED', (row) => known(row.lockedBytes), 4)] : []),
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
    { heading: 'SIZE', align: 'right', value: ({ sizeBytes }) => formatSize(sizeBytes), spare: 8 },
    { heading: 'MODE', value: ({ permissions }) => permissions },
    ...sizeColumns(mappings),
    { heading: 'NAME', value: nameOf, shrinks: { keeps: 'ends', least: 12 } },
  ];
}

/** Share of RLIMIT_NOFILE from which the headline names the limit as nearly reached. */
const NEAR = 0.9;

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

/** A sentence, and a table by kind. */
export function descriptorsBlocks({ pid, comm, count, limit, groups, passed }: DescriptorsAnswer): Block[] {
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
  return [
    `pid ${pid}${name} has ${formatCount(count)} descriptors open${of}.${near}${mostly}${largest}${more}`,
    ...(groups.length > 0 ? [tableBlock('Open descriptors', COLUMNS, groups)] : []),
    'BYTES: memory of memfds and dma-bufs, of pipes in a dump, of BPF maps with --live. The other kinds are unknown here: skb and skcheck have those of sockets.',
  ];
}
