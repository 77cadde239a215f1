import type { ListName } from './state.js';

/** A limitation of a comparison; codes are part of the JSON. `names` are inputs, untrusted. */
export type Note =
  | { readonly code: 'reordered' }
  | { readonly code: 'same-time'; readonly names: readonly string[] }
  | { readonly code: 'time-unknown'; readonly names: readonly string[] }
  /** Difference between wall clock and uptime, in seconds. */
  | { readonly code: 'clock-set'; readonly seconds: number }
  | { readonly code: 'different-hosts'; readonly hosts: readonly string[] }
  | { readonly code: 'different-boots' }
  | { readonly code: 'boot-unknown' }
  | { readonly code: 'different-kernels'; readonly releases: readonly string[] }
  | { readonly code: 'different-page-sizes'; readonly sizes: readonly number[] }
  | { readonly code: 'different-sources'; readonly depths: readonly string[] }
  | { readonly code: 'memory-hotplug'; readonly bytes: number }
  /** Another host or boot: the last has this much more memory. */
  | { readonly code: 'different-memory-sizes'; readonly bytes: number }
  /** Only some inputs contain it: `categories`, or a list. */
  | {
      readonly code: 'missing-in-input';
      readonly part: ListName | 'categories';
      readonly names: readonly string[];
    }
  | { readonly code: 'list-incomplete'; readonly part: ListName }
  | { readonly code: 'missed-process'; readonly part: ListName; readonly count: number }
  | { readonly code: 'lesser-measure'; readonly part: ListName; readonly count: number }
  | {
      readonly code: 'change-unknown';
      readonly part: ListName | 'categories';
      readonly count: number;
    }
  | { readonly code: 'pid-reused'; readonly count: number }
  | { readonly code: 'incomplete'; readonly name: string; readonly words: string }
  | { readonly code: 'inconsistent'; readonly name: string; readonly words: string }
  | { readonly code: 'spread'; readonly name: string; readonly words: string };

/** All note codes. */
export const NOTE_CODES = [
  ...['reordered', 'same-time', 'time-unknown', 'clock-set', 'different-hosts', 'different-boots'],
  ...[
    'boot-unknown',
    'different-kernels',
    'different-page-sizes',
    'different-sources',
    'memory-hotplug',
    'different-memory-sizes',
  ],
  ...['missing-in-input', 'list-incomplete', 'missed-process', 'lesser-measure', 'change-unknown'],
  ...['pid-reused', 'incomplete', 'inconsistent', 'spread'],
] as readonly Note['code'][];

/** Notes that leave the answer complete. */
const HARMLESS: ReadonlySet<Note['code']> = new Set<Note['code']>([
  ...([
    'reordered',
    'memory-hotplug',
    'different-memory-sizes',
    'lesser-measure',
    'pid-reused',
  ] as const),
]);

/** Returns whether a note leaves the answer complete. */
export function isHarmless({ code }: Note): boolean {
  return HARMLESS.has(code);
}
