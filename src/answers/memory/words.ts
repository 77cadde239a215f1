import type { Category, Owner } from '../../account/memory/category.js';
import { escapeText } from '../text/escape.js';

/** Categories in words for people. */
const WORDS: Readonly<Record<Category['category'], string>> = {
  memory: 'all of it',
  free: 'free',
  applications: 'applications',
  kernel: 'kernel',
  reserved: 'set aside at boot',
  unknown: 'not known',
  'free-buddy': 'buddy allocator',
  'free-cpu-lists': 'lists of CPUs',
  'free-unaccepted': 'not accepted yet',
  'free-uninitialized': 'not initialized yet',
  anonymous: 'anonymous',
  'page-cache': 'page cache',
  shared: 'shared memory and tmpfs',
  secret: 'secret memory (memfd_secret)',
  'swap-cache': 'swap cache',
  hugetlb: 'huge pages (hugetlb)',
  'slab-reclaimable': 'slab, reclaimable',
  'slab-unreclaimable': 'slab, not reclaimable',
  'large-kmalloc': 'large kmallocs',
  'page-tables': 'page tables',
  'kernel-stacks': 'kernel stacks',
  vmalloc: 'vmalloc',
  percpu: 'per-CPU memory',
  modules: 'modules',
  bpf: 'BPF',
  memmap: 'struct pages (memmap)',
  image: 'kernel image',
  'network-sockets': 'network: queues of sockets',
  'network-other': 'network: all else',
  compressed: 'compressed (zsmalloc)',
  movable: 'movable, not told whose',
  pipes: 'pipes',
  rings: 'rings (trace, perf, io_uring, BPF, virtio)',
  'dma-buf': 'dma-buf heaps',
  gpu: 'graphics drivers',
  tables: 'tables of the kernel',
  balloon: 'taken back by the hypervisor',
  unattributed: 'nothing explains',
  'crash-kernel': 'crash kernel',
  'set-aside': 'rest',
  unread: 'struct pages that cannot be read',
};

export function categoryWords({ category }: Pick<Category, 'category'>): string {
  return WORDS[category];
}

/** The same by a name that an answer has, which may be of a later release, or hostile. */
export function anyCategoryWords(name: string): string {
  return Object.hasOwn(WORDS, name) ? WORDS[name as Category['category']] : escapeText(name);
}

export function ownerWords({ name, pid }: Owner): string {
  return pid === undefined ? escapeText(name) : `pid ${pid} (${escapeText(name)})`;
}
