import type { Category, Owner } from '../../account/memory/category.js';
import { escapeText } from '../text/escape.js';

/** Categories in words for people. */
const WORDS: Readonly<Record<Category['category'], string>> = {
  memory: 'total',
  free: 'free',
  'applications-and-files': 'applications and files',
  kernel: 'kernel',
  reserved: 'reserved at boot',
  unknown: 'unknown',
  'free-buddy': 'buddy allocator',
  'free-cpu-lists': 'per-CPU free lists',
  'free-unaccepted': 'unaccepted (confidential guest)',
  'free-uninitialized': 'not initialized yet',
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
  rings: 'rings (trace, perf, io_uring, BPF, virtio)',
  'dma-buf': 'dma-buf heaps',
  gpu: 'graphics drivers',
  tables: 'kernel hash tables and pools',
  balloon: 'balloon and offline pages',
  unattributed: 'unattributed',
  'crash-kernel': 'crash kernel',
  'reserved-other': 'other reserved',
  unread: 'unreadable struct pages',
};

export function categoryWords({ category }: Pick<Category, 'category'>): string {
  return WORDS[category];
}

/** The code of a category by the name that is printed, in lower case; undefined: there is none. */
export function categoryOf(printed: string): string | undefined {
  return Object.entries(WORDS).find(([, words]) => words.toLowerCase() === printed)?.[0];
}

/** The same by a name that an answer has, which may be of a later release, or hostile. */
export function anyCategoryWords(name: string): string {
  return Object.hasOwn(WORDS, name) ? WORDS[name as Category['category']] : escapeText(name);
}

export function ownerWords({ name, pid }: Owner): string {
  return pid === undefined ? escapeText(name) : `pid ${pid} (${escapeText(name)})`;
}
