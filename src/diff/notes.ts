import type { ListName } from './state.js';

/** What must be known of a comparison; codes are part of the JSON. `names` are inputs, hostile. */
export type Note =
  | { readonly code: 'reordered' }
  | { readonly code: 'same-time'; readonly names: readonly string[] }
  | { readonly code: 'time-unknown'; readonly names: readonly string[] }
  /** By so many seconds the clock of the day and the time since the boot went apart. */
  | { readonly code: 'clock-set'; readonly seconds: number }
  | { readonly code: 'another-host'; readonly hosts: readonly string[] }
  | { readonly code: 'another-boot' }
  | { readonly code: 'boot-unknown' }
  | { readonly code: 'another-kernel'; readonly releases: readonly string[] }
  | { readonly code: 'another-page-size'; readonly sizes: readonly number[] }
  | { readonly code: 'another-depth'; readonly depths: readonly string[] }
  | { readonly code: 'memory-plugged'; readonly bytes: number }
  /** Of another host or boot: the last has so much more. */
  | { readonly code: 'another-size'; readonly bytes: number }
  /** Only some inputs know of it: of `categories`, or of a list. */
  | {
      readonly code: 'not-known-to-all';
      readonly part: ListName | 'categories';
      readonly names: readonly string[];
    }
  | { readonly code: 'not-all-listed'; readonly part: ListName }
  | { readonly code: 'began-before'; readonly part: ListName; readonly count: number }
  | { readonly code: 'measured-otherwise'; readonly part: ListName; readonly count: number }
  | {
      readonly code: 'size-unknown';
      readonly part: ListName | 'categories';
      readonly count: number;
    }
  | { readonly code: 'pid-used-again'; readonly count: number }
  | { readonly code: 'incomplete'; readonly name: string; readonly words: string }
  | { readonly code: 'contradictory'; readonly name: string; readonly words: string }
  | { readonly code: 'spread'; readonly name: string; readonly words: string };

/** All of them. */
export const NOTE_CODES = [
  ...['reordered', 'same-time', 'time-unknown', 'clock-set', 'another-host', 'another-boot'],
  ...[
    'boot-unknown',
    'another-kernel',
    'another-page-size',
    'another-depth',
    'memory-plugged',
    'another-size',
  ],
  ...['not-known-to-all', 'not-all-listed', 'began-before', 'measured-otherwise', 'size-unknown'],
  ...['pid-used-again', 'incomplete', 'contradictory', 'spread'],
] as readonly Note['code'][];

/** With these the whole is told all the same. */
const HARMLESS: ReadonlySet<Note['code']> = new Set<Note['code']>([
  ...([
    'reordered',
    'memory-plugged',
    'another-size',
    'measured-otherwise',
    'pid-used-again',
  ] as const),
]);

/** What one of them makes incomplete. */
export function isHarmless({ code }: Note): boolean {
  return HARMLESS.has(code);
}
