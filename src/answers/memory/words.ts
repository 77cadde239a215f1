import type { MemoryAnswer, MemorySource } from '../../account/memory/answer.js';
import type { Category, Owner } from '../../account/memory/tree.js';
import { escapeText } from '../../base/escape.js';
import { capturedWords } from '../origin.js';

/** Printed names of categories. */
const WORDS: Readonly<Record<Category['category'], string>> = {
  memory: 'total',
  free: 'free',
  'applications-and-files': 'applications and files',
  kernel: 'kernel',
  reserved: 'reserved at boot',
  unknown: 'unknown',
  'free-buddy': 'buddy allocator',
  'free-cpu-lists': 'per-CPU free lists',
  'free-unaccepted': 'unaccepted guest memory',
  'free-uninitialized': 'free, not used since boot',
  anonymous: 'anonymous',
  'page-cache': 'page cache',
  shared: 'shared memory and tmpfs',
  secret: 'secret memory (memfd_secret)',
  'swap-cache': 'swap cache',
  hugetlb: 'huge pages (hugetlb)',
  'slab-reclaimable': 'reclaimable slab',
  'slab-unreclaimable': 'unreclaimable slab',
  'large-kmalloc': 'large kmalloc',
  'page-tables': 'page tables',
  'kernel-stacks': 'kernel stacks',
  vmalloc: 'vmalloc',
  percpu: 'per-CPU memory',
  modules: 'modules',
  bpf: 'BPF',
  memmap: 'struct pages (memmap)',
  image: 'kernel image',
  'network-sockets': 'network: socket queues',
  'network-other': 'network: other',
  compressed: 'compressed (zsmalloc)',
  movable: 'non-LRU movable pages',
  pipes: 'pipes',
  rings: 'trace and I/O rings',
  'dma-buf': 'dma-buf heaps',
  gpu: 'graphics drivers',
  tables: 'kernel hash tables and pools',
  balloon: 'balloon and offline pages',
  unattributed: 'unattributed',
  'crash-kernel': 'crash kernel',
  'reserved-other': 'other reserved',
  unread: 'unreadable struct pages',
  'missing-counters': 'counters missing',
};

export function categoryWords({ category }: Pick<Category, 'category'>): string {
  return WORDS[category];
}

/** Returns the category with a printed name in lower case; undefined: there is none. */
export function categoryOf(printed: string): string | undefined {
  return Object.entries(WORDS).find(([, words]) => words.toLowerCase() === printed)?.[0];
}

/** Returns the printed name of a category in an answer, which may be from a later release, or untrusted. */
export function anyCategoryWords(name: string): string {
  return Object.hasOwn(WORDS, name) ? WORDS[name as Category['category']] : escapeText(name);
}

export function ownerWords({ kind, name, pid, files = 1 }: Owner): string {
  const more = files > 1 ? ` and ${files - 1} more` : '';
  if (kind === 'file')
    return pid === undefined ? `file ${escapeText(name)}${more}` : `${escapeText(name)}${more} (pid ${pid})`;
  if (kind === 'tmpfs') return `${escapeText(name)}${pid === undefined ? '' : ` (mount namespace of pid ${pid})`}`;
  if (kind === 'mapping') return `${escapeText(name)}${more} (pid ${pid})`;
  if (kind === 'segment') return `${escapeText(name)} (created by pid ${pid})`;
  // It allocates a pointer for each word of a chunk: memory beside the chunks, which are per-CPU memory.
  if (name === 'pcpu_create_chunk') return `${name} (bookkeeping of per-CPU memory)`;
  return pid === undefined ? escapeText(name) : `pid ${pid} (${escapeText(name)})`;
}

/** Names of the sources of a running kernel; a dump is not mentioned. */
const SOURCE_WORDS: Readonly<Record<Exclude<MemorySource, 'vmcore'>, string>> = {
  kcore: 'kernel memory (/proc/kcore)',
  pageflags: 'page flags (/proc/kpageflags)',
  counters: 'counters in /proc only',
};

/** Returns the source of an answer, and why more detailed sources are not available. */
export function sourceText({ source, captured, unavailable = [] }: MemoryAnswer): string {
  if (source === 'vmcore') return '';
  if (captured) return ` Source: ${SOURCE_WORDS[source]}, ${capturedWords(captured)}.`;
  const parts = [SOURCE_WORDS[source], ...unavailable.map(({ why }) => escapeText(why))];
  return ` Source: ${parts.join('; ')}.`;
}

/** Whether the answer is from /proc, which lacks the data that most other commands require. */
export function isFromProc({ source }: MemoryAnswer): boolean {
  return source === 'pageflags' || source === 'counters';
}
