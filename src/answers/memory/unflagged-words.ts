import type { MemoryAnswer } from '../../account/memory/answer.js';
import type { FrameNote } from '../../account/memory/frame-note.js';
import { pageSizeOf } from '../../account/memory/page-size.js';
import { escapeText } from '../text/escape.js';
import { formatSize } from '../text/size.js';
import { blocksWords } from './sentences.js';
import { categoryWords } from './words.js';

/** Frames without an identifying flag, and the counters that partly cover them. */
export function unflaggedWords(answer: MemoryAnswer): string[] {
  if (!answer.unflagged || answer.unflagged.frames === 0) return [];
  const { frames, sizes, zones, charged, mapped, counters } = answer.unflagged;
  const pageSize = pageSizeOf(answer);
  const size = (pages: number) => formatSize(pages * pageSize);
  const where = zones.map(({ zone, frames: many }) => `${size(many)} in ${escapeText(zone)}`);
  const paid = charged === null ? 'unknown' : charged === 0 ? 'none' : size(charged);
  const userMapped = mapped === 0 ? '' : ` Mapped by processes: ${size(mapped)}.`;
  const beside =
    counters.length === 0
      ? ''
      : ` Counters partly included: ${counters.map(({ name, bytes }) => `${name} ${formatSize(bytes)}`).join(', ')}.`;
  return [
    `Pages without an identifying flag: ${size(frames)} in ${blocksWords(sizes, pageSize)}. Zones: ${where.join(', ')}. Charged to cgroups: ${paid}.${userMapped} Rows known by a counter are subtracted; the remainder is unattributed.${beside}`,
  ];
}

const NOTES: Readonly<Record<FrameNote['note'], string>> = {
  thp: 'in transparent huge pages or large folios',
  mlocked: 'mlocked',
  hwpoison: 'poisoned by hardware errors (hwpoison)',
  'zero-page': 'zero pages',
};

/** Notes of page flags on frames in categories. */
export function noteWords(answer: MemoryAnswer): string[] {
  const notes = (answer.notes ?? []).filter(({ frames }) => frames > 0);
  if (notes.length === 0) return [];
  const size = (frames: number) => formatSize(frames * pageSizeOf(answer));
  const words = notes.map(
    (one) => `${size(one.frames)} of ${categoryWords(one)} (${NOTES[one.note]})`,
  );
  return [`Included above: ${words.join(', ')}.`];
}
