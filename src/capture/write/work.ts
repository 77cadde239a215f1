import type { OptionalPart } from '../read/contents.js';
import type { Anonymizer } from './anonymizer.js';
import type { Archive } from './archive.js';
import type { Deadline } from './deadline.js';
import type { Failures } from './failures.js';
import type { SnapshotSource } from './source.js';

/** What all parts of a snapshot are taken with. */
export interface Work {
  readonly source: SnapshotSource;
  readonly archive: Archive;
  readonly failures: Failures;
  readonly deadline: Deadline;
  readonly parts: ReadonlySet<OptionalPart>;
  /** Null: true names. */
  readonly anonymizer: Anonymizer | null;
}

/** A file of /proc or /sys that holds one line or a few. Bytes. */
export const SMALL_FILE = 1024 * 1024;

/** The lines of a text, the last one without its line break too. */
export function linesOf(text: string): string[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}
