import type { MemoryAnswer } from '../../account/memory/answer.js';
import type { FrameNote } from '../../account/memory/frame-note.js';
import { pageSizeOf } from '../../account/memory/page-size.js';
import { escapeText } from '../text/escape.js';
import { formatCount, formatSize } from '../text/size.js';
import { categoryWords } from './words.js';

/** Frames that no flag tells of: what they are like, and which counters have a part in them. */
export function unflaggedWords(answer: MemoryAnswer): string[] {
  if (!answer.unflagged || answer.unflagged.frames === 0) return [];
  const { frames, sizes, zones, charged, mapped, counters } = answer.unflagged;
  const pageSize = pageSizeOf(answer);
  const size = (pages: number) => formatSize(pages * pageSize);
  const blocks = sizes.map(({ order, blocks: many }) => `${formatCount(many)} of order ${order}`);
  const where = zones.map(({ zone, frames: many }) => `${size(many)} in ${escapeText(zone)}`);
  const paid =
    charged === null
      ? 'nothing tells what is charged to cgroups'
      : `${charged === 0 ? 'none' : size(charged)} of it charged to cgroups`;
  const lent = mapped === 0 ? '' : `; ${size(mapped)} of it mapped by processes`;
  const beside =
    counters.length === 0
      ? ''
      : ` Counters of what is in part among these: ${counters.map(({ name, bytes }) => `${name} ${formatSize(bytes)}`).join(', ')}.`;
  return [
    `No flag tells of ${size(frames)}: blocks ${blocks.join(', ')}; ${where.join(', ')}; ${paid}${lent}. Rows that are known by a counter are taken off; the rest is what nothing explains.${beside}`,
  ];
}

const NOTES: Readonly<Record<FrameNote['note'], string>> = {
  thp: 'in transparent huge pages or large folios',
  mlocked: 'mlocked',
  hwpoison: 'damaged memory that is no longer used (hwpoison)',
  'zero-page': 'pages of zeros',
};

/** What flags say besides; nothing without any. */
export function noteWords(answer: MemoryAnswer): string[] {
  const notes = (answer.notes ?? []).filter(({ frames }) => frames > 0);
  if (notes.length === 0) return [];
  const size = (frames: number) => formatSize(frames * pageSizeOf(answer));
  const words = notes.map(
    (one) => `${size(one.frames)} of “${categoryWords(one)}” ${NOTES[one.note]}`,
  );
  return [`Of these: ${words.join(', ')}.`];
}
