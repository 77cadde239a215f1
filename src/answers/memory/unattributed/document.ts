import { count, formatCount, formatSize, inflect } from '../../../base/size.js';
import { hex } from '../../../base/util.js';
import type { UnattributedAnswer, UnattributedGroup } from '../../../contracts/unattributed.js';
import type { ContentKind } from '../../../records/references.js';
import { holderWords } from '../../refs/document.js';
import { type Block, nextBlock, tableBlock } from '../../text/blocks.js';
import type { Column } from '../../text/table.js';
import { share } from '../words.js';

export const CONTENT_WORDS: Readonly<Record<ContentKind, string>> = {
  zero: 'zeros only',
  'repeated-word': 'one repeated word',
  text: 'text',
  'network-frames': 'network packets',
  'page-table': 'resembles a page table',
  pointers: 'pointers',
  poison: 'freed objects (poison)',
  'high-entropy': 'random or compressed',
  data: 'data',
  unreadable: 'unreadable',
};

const COLUMNS: readonly Column<UnattributedGroup>[] = [
  { heading: 'BYTES', align: 'right', value: ({ bytes }) => formatSize(bytes) },
  { heading: 'BLOCKS', align: 'right', value: ({ blocks }) => formatCount(blocks) },
  { heading: 'ORDER', align: 'right', value: ({ order }) => `${order}` },
  {
    heading: 'REFERENCED FROM',
    value: ({ holder, followsBlock }) =>
      holder !== null ? holderWords(holder) : followsBlock ? 'none (follows a page in use)' : 'none (unreferenced)',
    shrinks: { keeps: 'ends', least: 16 },
  },
  { heading: 'CONTENT', value: contentWords, shrinks: { keeps: 'words', least: 12 } },
  { heading: 'FIRST BLOCK', value: ({ first }) => hex(first), spare: 1 },
];

function contentWords({ content, ports }: UnattributedGroup): string {
  if (ports.length === 0) return CONTENT_WORDS[content];
  return `${CONTENT_WORDS[content]}, port${inflect(ports.length, '', 's')} ${ports.join(', ')}`;
}

/** Idle guests of the lab's kernels have 0.8 to 1.2 MiB unattributed. It does not grow with the machine. */
const NORMAL_BYTES = 2 * 2 ** 20;

/** What refers to the blocks, and what may be lost. */
function usesWords(answer: UnattributedAnswer): string[] {
  const { bytes, blocks, unreferencedBytes, unreferencedBlocks, followsBlockBytes } = answer;
  const following = followsBlockBytes / answer.kernel.pageSize;
  const lost = unreferencedBlocks - following;
  const part = (many: number, size: number, verb: string) =>
    `${count(many, 'block')} (${formatSize(size)}) ${inflect(many, 'is', 'are')} ${verb}`;
  const used = blocks - unreferencedBlocks;
  return [
    ...(used > 0
      ? [part(used, bytes - unreferencedBytes, 'in use: kernel memory refers to each, as listed below.')]
      : []),
    ...(following > 0
      ? [
          part(
            following,
            followsBlockBytes,
            'probably in use: each directly follows a page in use, and is probably part of its allocation.',
          ),
        ]
      : []),
    ...(lost > 0
      ? [
          part(
            lost,
            unreferencedBytes - followsBlockBytes,
            'possibly leaked: nothing refers to them, unless by frame number or physical address.',
          ),
        ]
      : []),
  ];
}

/** A sentence, the groups, and the next command. */
export function unattributedBlocks(answer: UnattributedAnswer, limit: number, source: string): Block[] {
  const { groups, bytes, blocks } = answer;
  const { ramBytes, scannedBytes } = answer;
  const scanned =
    scannedBytes === ramBytes ? '' : ` Scanned for references: ${formatSize(scannedBytes)} of ${formatSize(ramBytes)}.`;
  const isLittle = bytes < NORMAL_BYTES;
  const lost = answer.unreferencedBytes - answer.followsBlockBytes;
  const headline = [
    `${formatSize(bytes)} (${share(bytes, ramBytes)} of RAM) is unattributed, in ${formatCount(blocks)} blocks.`,
    ...(isLittle && blocks > 0
      ? [`${lost === 0 ? 'That is normal: the' : 'The'} dump of an idle machine of any size has about 1 MiB.`]
      : []),
    ...usesWords(answer),
  ].join(' ');
  // A block without a reference may be leaked: it comes before a larger one that has a holder.
  const first = groups.find((group) => group.holder === null && !group.followsBlock) ?? groups[0];
  const next = first && `kdump-mem ${first.holder === null ? 'whatis' : 'refs'} ${hex(first.first)} ${source}`;
  return [
    `${headline}${scanned}`,
    ...(groups.length > 0 ? [tableBlock('Unattributed blocks', COLUMNS, groups.slice(0, limit))] : []),
    ...(groups.length > limit ? [`${formatCount(groups.length - limit)} more: --limit N lists them`] : []),
    ...(next === undefined || isLittle ? [] : [nextBlock(next)]),
  ];
}
