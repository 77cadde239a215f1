import { escapeText } from '../../../base/escape.js';
import { formatCount, formatSize } from '../../../base/size.js';
import { hex } from '../../../base/util.js';
import type { UnreachableAnswer, UnreachableGroup } from '../../../contracts/unreachable.js';
import { siteName } from '../../leaks/site-words.js';
import { type Block, nextBlock, tableBlock } from '../../text/blocks.js';
import type { Column } from '../../text/table.js';
import { CONTENT_WORDS } from '../unattributed/document.js';

const COLUMNS: readonly Column<UnreachableGroup>[] = [
  { heading: 'BYTES', align: 'right', value: ({ bytes }) => formatSize(bytes) },
  { heading: 'ALLOCATIONS', align: 'right', value: ({ allocations }) => formatCount(allocations) },
  { heading: 'SIZE', align: 'right', value: ({ size }) => formatSize(size) },
  { heading: 'KIND', value: kindWords, shrinks: { keeps: 'ends', least: 16 } },
  {
    heading: 'REFERENCED BY',
    value: ({ referencedBy, reason }) => reason ?? (referencedBy === 'nothing' ? 'nothing' : 'unreachable memory'),
  },
  { heading: 'CONTENT', value: ({ content }) => CONTENT_WORDS[content], shrinks: { keeps: 'words', least: 8 } },
  { heading: 'FIRST', value: ({ examples: [first] }) => hex(first ?? 0n), spare: 1 },
];

const SITE: Column<UnreachableGroup> = {
  heading: 'ALLOCATION SITE',
  value: ({ site }) => (site === null ? '' : siteName(site)),
  shrinks: { keeps: 'ends', least: 16 },
};

function kindWords({ kind, name, merged }: UnreachableGroup): string {
  if (kind === 'pages') return 'pages';
  if (kind === 'slab-object') return `${escapeText(name ?? '?')}${merged === true ? ' (merged)' : ''}`;
  return `area of ${name === null ? '?' : escapeText(name)}`;
}

/** A sentence, the groups, what else is known, and the next command. */
export function unreachableBlocks(
  answer: UnreachableAnswer,
  { limit, verbose, source }: { readonly limit: number; readonly verbose: boolean; readonly source: string },
): Block[] {
  const { groups, explained, complete } = answer;
  const open = groups.filter(({ reason }) => reason === null);
  const shown = verbose ? groups : open;
  const columns = shown.some(({ site }) => site !== null) ? [...COLUMNS, SITE] : COLUMNS;
  const first = open[0]?.examples[0];
  return [
    headline(answer),
    ...(shown.length > 0 ? [tableBlock('Unreachable allocations', columns, shown.slice(0, limit))] : []),
    ...(shown.length > limit ? [`${formatCount(shown.length - limit)} more: --limit N lists them`] : []),
    ...(explained !== null && explained.allocations > 0
      ? [
          `${formatCount(explained.allocations)} (${formatSize(explained.bytes)}) are unreachable, but not suspected: ${reasonWords(answer)}.${verbose ? '' : ' -v lists them.'}`,
        ]
      : []),
    ...(shown.some(({ merged }) => merged === true) ? [MERGED] : []),
    ...(open.length > 0 || !complete ? [CAUTION] : []),
    ...(first === undefined ? [] : [nextBlock(`kdump-mem whatis ${hex(first)} ${source}`)]),
  ];
}

const MERGED = 'A merged cache has the objects of several caches of one size: the name of one of them stands for all.';

const CAUTION =
  'An unreachable allocation may be in use: references by frame number, physical address or offset are not found.';

function headline(answer: UnreachableAnswer): string {
  const { unreachable, searched, complete, unreadBytes, holderBytes, undecided } = answer;
  const of = `of ${formatCount(searched.allocations)} allocations (${formatSize(searched.bytes)})`;
  const lost = [
    ...(unreadBytes > 0
      ? [`${formatSize(unreadBytes)} of the ${formatSize(holderBytes)} that may contain references could not be read.`]
      : []),
    ...(undecided > 0 ? [`${formatCount(undecided)} objects may be allocated or free.`] : []),
  ];
  if (unreachable === null) return [`Unknown which allocations are unreachable, ${of}.`, ...lost].join(' ');
  const incomplete = complete ? [] : ['Incomplete: some of them may be in use, and others missing.', ...lost];
  const text =
    unreachable.allocations === 0
      ? complete
        ? `No suspected leak. Checked: ${formatCount(searched.allocations)} allocations, ${formatSize(searched.bytes)} (slab objects, vmalloc areas and pages without an owner).`
        : `No unreachable allocation without a known reason was found, ${of}.`
      : `${complete ? '' : 'Possibly '}${formatSize(unreachable.bytes)} unreachable, in ${formatCount(unreachable.allocations)} ${of}: no reference from memory in use was found.`;
  return [text, ...incomplete].join(' ');
}

const REASON_WORDS: Readonly<Record<NonNullable<UnreachableGroup['reason']>, string>> = {
  'split-block': 'in pages that may be part of the allocation before them',
  'sysctl-table': 'headers of sysctl tables',
  vmcoreinfo: 'page of VMCOREINFO',
};

function reasonWords({ groups }: UnreachableAnswer): string {
  const counts = Object.entries(REASON_WORDS).map(([reason, words]) => {
    const some = groups.filter((group) => group.reason === reason);
    return { reason, words, many: some.reduce((sum, { allocations }) => sum + allocations, 0) };
  });
  return counts
    .filter(({ many }) => many > 0)
    .map(({ reason, words, many }) => `${formatCount(many)} ${words} (${reason})`)
    .join(', ');
}
