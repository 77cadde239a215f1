/** How a word refers to a target: its index is its code while memory is scanned. */
export const FORMS = ['pointer', 'tagged', 'interior', 'page'] as const;
export type Form = (typeof FORMS)[number];

/**
 * What the memory around a reference is. `kernel`: memory in use by the kernel; only such references keep a
 * target in use. `user`: data of processes and files. `free`: freed objects and pages. `target`: the target
 * itself, or its own `struct page`.
 */
export const SOURCES = ['kernel', 'user', 'free', 'target'] as const;
export type ReferenceSource = (typeof SOURCES)[number];

/**
 * What lies in a page, without showing any of it. `network-frames`: IP packets with a valid header. `poison`:
 * objects that a debugging allocator freed (POISON_FREE). `high-entropy`: compressed, encrypted or random bytes.
 * `data`: none of these.
 */
export const CONTENT_KINDS = [
  'zero',
  'repeated-word',
  'text',
  'network-frames',
  'page-table',
  'pointers',
  'poison',
  'high-entropy',
  'data',
  'unreadable',
] as const;
export type ContentKind = (typeof CONTENT_KINDS)[number];
