import { escapeText } from '../../base/escape.js';
import type { Category } from './tree.js';

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
  'driver-mapped': 'driver pages in processes',
  balloon: 'balloon and offline pages',
  'zfs-arc': 'ZFS cache (ARC)',
  unattributed: 'unattributed',
  'crash-kernel': 'crash kernel',
  'reserved-other': 'other reserved',
  unread: 'unreadable struct pages',
  'missing-counters': 'counters missing',
};

export function categoryWords({ category }: { readonly category: string }): string {
  return anyCategoryWords(category);
}

/** Returns the category with a printed name in lower case; undefined: there is none. */
export function categoryOf(printed: string): string | undefined {
  return Object.entries(WORDS).find(([, words]) => words.toLowerCase() === printed)?.[0];
}

/** Returns the printed name of a category in an answer, which may be from a later release, or untrusted. */
export function anyCategoryWords(name: string): string {
  return Object.hasOwn(WORDS, name) ? WORDS[name as Category['category']] : escapeText(name);
}
