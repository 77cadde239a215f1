import type { Loose, MemoryAnswer } from '../../account/memory/answer.js';
import { pageSizeOf } from '../../account/memory/page-size.js';
import { grouped } from '../../grouped.js';
import { wrap } from '../text/cut.js';
import { escapeText } from '../text/escape.js';
import { formatCount, formatSize } from '../text/size.js';
import { headline, NOTABLE, QUIET } from './headline.js';
import { leaves } from './leaves.js';
import { treeTable } from './tree-table.js';
import { drawerWords } from './words.js';

export interface MemoryTextOptions {
  /** Say what the kernel's own counters say, and how each row is known. */
  readonly verbose?: boolean | undefined;
  /** The options that name the dump, for the commands that go deeper; a line of shell words. */
  readonly source: string;
  /** Columns of the terminal; null: there is none, and nothing is cut or broken. */
  readonly width?: number | null;
}

/** The answer to `memory`: how much, in whose hands, what stands out; then a tree, and what to ask next. */
export function memoryText(answer: MemoryAnswer, options: MemoryTextOptions): string {
  const { source, verbose = false, width = null } = options;
  const said = (text: string) => wrap(text, width).join('\n');
  const empty = leaves(answer.memory).filter(({ frames, complete }) => frames === 0 && complete);
  return [
    said(headline(answer)),
    treeTable(answer, verbose, width),
    ...missedWords(answer).map(said),
    ...(answer.loose && unexplained(answer) > 0
      ? [said(looseWords(answer.loose, pageSizeOf(answer)))]
      : []),
    ...elsewhereWords(answer).map(said),
    ...(verbose && empty.length > 0
      ? [said(`Nothing in: ${empty.map(drawerWords).join(', ')}.`)]
      : []),
    answer.source === 'counters'
      ? 'Next: skcheck --stale'
      : `Next: kdump-mem ${nextCommand(answer)} ${source}`,
  ].join('\n\n');
}

/** Rows that one fault spoils stand together. */
function missedWords({ memory }: MemoryAnswer): string[] {
  const spoiled = leaves(memory).filter(({ why }) => why !== undefined);
  return [...grouped(spoiled, ({ why = '' }) => why)].map(
    ([why, drawers]) => `Not whole: ${drawers.map(drawerWords).join(', ')}: ${escapeText(why)}`,
  );
}

function unexplained({ memory }: MemoryAnswer): number {
  return leaves(memory).find(({ drawer }) => drawer === 'unexplained')?.frames ?? 0;
}

/** Blocks that nothing explains, by size; where they lie; and what is known of them all the same. */
function looseWords({ sizes, zones, charged, largeKmallocs }: Loose, pageSize: number): string {
  const blocks = sizes.map(({ order, blocks: many }) => `${formatCount(many)} of order ${order}`);
  const where = zones.map(({ zone, frames }) => `${formatSize(frames * pageSize)} in ${zone}`);
  const paid = charged === 0 ? 'none' : formatSize(charged * pageSize);
  const large =
    largeKmallocs === undefined || largeKmallocs <= 0
      ? ''
      : ` The kernel counts ${formatSize(largeKmallocs * pageSize)} of large kmallocs, whose pages do not say so: what of them is in no drawer above is among these.`;
  return `What nothing explains: blocks ${blocks.join(', ')}; ${where.join(', ')}; ${paid} of it charged to cgroups.${large}`;
}

function elsewhereWords(answer: MemoryAnswer): string[] {
  const queues = leaves(answer.memory).find(({ drawer }) => drawer === 'network-sockets');
  const others = (queues?.elsewhere ?? []).filter(({ drawer }) => !drawer.startsWith('free'));
  if (others.length === 0) return [];
  const pageSize = pageSizeOf(answer);
  const words = others.map(
    ({ drawer, frames }) => `${formatSize(frames * pageSize)} in “${drawerWords({ drawer })}”`,
  );
  const slots = answer.census?.total.slabBytes ?? 0;
  return [
    `Queues of sockets hold more than their drawer: ${words.join(', ')}; and ${formatSize(slots)} of slots in slabs.`,
  ];
}

function nextCommand(answer: MemoryAnswer): string {
  const deeper = leaves(answer.memory)
    .filter((drawer) => drawer.deeper !== undefined && !QUIET.has(drawer.drawer))
    .toSorted((a, b) => b.frames - a.frames);
  const queues = deeper.find(({ drawer }) => drawer === 'network-sockets');
  if (queues && queues.bytes >= NOTABLE * answer.memory.bytes) return 'sockets --by process';
  return deeper[0]?.deeper ?? 'sockets --by process';
}
