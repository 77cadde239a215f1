import type { MemoryAnswer } from '../../../account/memory/answer.js';
import { categoryWords } from '../../../account/memory/category-names.js';
import type { AllocationSite, ModuleSites, SiteSource } from '../../../account/memory/sites.js';
import { escapeText } from '../../../base/escape.js';
import { formatCount, formatSize } from '../../../base/size.js';
import { siteName } from '../../leaks/site-words.js';
import { wrap } from '../../text/cut.js';
import { type Column, type ListOptions, renderTable } from '../../text/table.js';

const SHOWN_CATEGORIES = 2;

const amounts = <Row extends Pick<AllocationSite, 'bytes' | 'allocations' | 'categories'>>(
  allocations: string,
): Column<Row>[] => [
  { heading: 'BYTES', align: 'right', value: ({ bytes }) => formatSize(bytes) },
  { heading: allocations, align: 'right', value: (row) => formatCount(row.allocations) },
  {
    heading: 'CATEGORIES',
    value: ({ categories }) => categoriesCell(categories),
    shrinks: { keeps: 'start', least: 12 },
    spare: 1,
  },
];

function categoriesCell(categories: AllocationSite['categories']): string {
  const words = categories
    .slice(0, SHOWN_CATEGORIES)
    .map((category) => `${categoryWords(category)} ${formatSize(category.bytes)}`);
  return [...words, ...(categories.length > SHOWN_CATEGORIES ? ['…'] : [])].join(', ');
}

/** Formats allocation sites by source, largest first. */
export function sitesTable(answer: MemoryAnswer, options: ListOptions): string {
  return sourceTables(answer, options, ({ source, sites, omitted }, { limit, width }) => {
    const cache: Column<AllocationSite>[] = [{ heading: 'CACHE', value: (site) => escapeText(site.cache ?? '') }];
    const columns: readonly Column<AllocationSite>[] = [
      { heading: 'ALLOCATION SITE', value: (site) => siteName(site), shrinks: { keeps: 'start', least: 20 } },
      ...(source === 'slab-tracks' ? cache : []),
      ...amounts<AllocationSite>(source === 'vmalloc-callers' ? 'AREAS' : 'ALLOCATIONS'),
    ];
    const left = sites.slice(limit);
    const rest = left.reduce((sum, { bytes }) => sum + bytes, omitted.bytes);
    const more = left.length + omitted.sites;
    const table = renderTable(columns, sites.slice(0, limit), width);
    if (more === 0) return table;
    return `${table}\n${formatCount(more)} more sites with ${formatSize(rest)}: --limit N lists them.`;
  });
}

/** Formats modules by what their allocation sites hold. */
export function modulesTable(answer: MemoryAnswer, options: ListOptions): string {
  return sourceTables(answer, options, ({ modules }, { limit, width }) => {
    const columns: readonly Column<ModuleSites>[] = [
      { heading: 'MODULE', value: ({ module }) => (module === null ? '(kernel image)' : escapeText(module)) },
      ...amounts<ModuleSites>('ALLOCATIONS'),
      { heading: 'SITES', align: 'right', value: ({ sites }) => formatCount(sites), spare: 2 },
    ];
    const table = renderTable(columns, modules.slice(0, limit), width);
    const left = modules.length - limit;
    return left > 0 ? `${table}\n${formatCount(left)} more modules: --limit N lists them.` : table;
  });
}

const TITLES: Readonly<Record<SiteSource['source'], string>> = {
  'page-owner': 'Pages by stack of their allocation (page_owner)',
  'allocation-tags': 'Memory by line of source (allocation profiling)',
  'slab-tracks': 'Slab objects by stack of their allocation (slub_debug)',
  'vmalloc-callers': 'vmalloc areas by caller',
};

function sourceTables(
  { sites }: MemoryAnswer,
  options: ListOptions,
  table: (source: SiteSource, options: ListOptions) => string,
): string {
  if (!sites) throw new TypeError('sites that were not requested');
  const on = sites.filter(({ why }) => why === null);
  const off = sites.filter(({ why }) => why !== null);
  return [
    ...on.map((source) => `${titleOf(source)}:\n\n${table(source, options)}`),
    ...off.map(({ source, why }) =>
      wrap(`${TITLES[source]}: not available (${escapeText(why ?? '')}).`, options.width).join('\n'),
    ),
    ...(on.length > 1 ? [wrap(OVERLAP, options.width).join('\n')] : []),
  ].join('\n\n');
}

const OVERLAP =
  'The lists overlap: memory of one list may be part of another, such as slab objects and the pages of their slabs.';

function titleOf({ source, bytes, allocations, countedBytes, slabPageBytes }: SiteSource): string {
  const what = source === 'vmalloc-callers' ? 'areas' : 'allocations';
  const counted =
    countedBytes === null || countedBytes === bytes ? '' : `; the kernel counts ${formatSize(countedBytes)}`;
  const slabs = slabPageBytes === 0 ? '' : `, without ${formatSize(slabPageBytes)} of slab pages`;
  return `${TITLES[source]}, ${formatSize(bytes)} in ${formatCount(allocations)} ${what}${slabs}${counted}`;
}
