import type { LeakReason } from '../../leaks/verdict.js';
import type { Explanations } from './explanation.js';

const WATCH_LONGER = 'Ask for longer: --interval 3600.';

/** Why `kdump-mem leaks` says of a stack what it says. */
export const LEAK_REASONS_EXPLAINED: Explanations<LeakReason> = {
  nobody: {
    means:
      'Leaking: what this stack allocated grows all the time, blocks of each third of the time are held still, and nothing that is known leads to them.',
    known:
      'Readings through three windows or more, and every page frame of the machine put into a category by /proc/kcore: these blocks are in those that nothing explains, in vmalloc, or in slab caches of nobody in particular.',
    next: 'Look at the functions of the stack, and at the module that has them. A cache of a driver that grows for good looks the same.',
    deeper: 'kdump-mem memory --live',
  },
  waits: {
    means:
      'Leaking: it grows all the time, and most of it waits in queues of sockets, rings or page pools, where nobody takes it.',
    known: 'The queues of all sockets, by /proc/kcore.',
    next: 'See which process does not read: skcheck --stale; what its sockets pin: kdump-mem skb --pid N --live.',
    deeper: 'kdump-mem sockets --by process --live',
  },
  reclaimable: {
    means:
      'It grows, and the kernel takes it back where memory is short: page cache, reclaimable slab.',
    known: 'Flags of page frames, or slab caches that say so.',
    next: 'Nothing, as long as memory is not short all the same.',
    deeper: 'kdump-mem memory --live --files',
  },
  'of-processes': {
    means:
      'It grows, and belongs to processes: their memory, page tables, stacks, files. It ends with them.',
    known: 'The category or slab cache that the blocks are in.',
    next: 'See which process grows, and who allocates in it.',
    deeper: 'kdump-mem procs --live --watch',
  },
  'of-kernel': {
    means: 'It grows, and the kernel uses it for something known.',
    known: 'The category that the blocks are in: `category` of the answer.',
    next: 'See what kdump-mem explain says of that category.',
    deeper: 'kdump-mem memory --live',
  },
  'not-looked-up': {
    means:
      'It grows, and where the blocks are is not known: nothing was looked up, or flags of page frames do not tell.',
    known: 'What the answer says of its sources.',
    next: 'Run it as root where /proc/kcore can be read. Else skcheck --stale tells whether a socket has them.',
    deeper: 'skcheck --stale',
  },
  'not-steady': {
    means:
      'It grows, but not steadily, or what was allocated at first is mostly gone: a leak, or something that lives long.',
    known: 'Thirds of the time beside each other.',
    next: WATCH_LONGER,
  },
  'turns-over': {
    means: 'Alive: what is held came in the last third of the time; what came before was freed.',
    known: 'When each block was allocated that is held still.',
    next: 'Nothing.',
  },
  slows: {
    means: 'Alive: it grew less and less, or not at all, as a cache does that fills.',
    known: 'What it held in each third of the time.',
    next: 'Nothing.',
  },
  gone: {
    means: 'Alive: every block was free, or somebody else’s, when it was looked up.',
    known: 'What lies in those page frames now.',
    next: 'Nothing.',
  },
  'too-few-windows': {
    means: 'Not known: growth is told from three windows on.',
    known: 'Readings of the recording.',
    next: 'Ask for more: --windows 15; a file needs as many readings.',
  },
  'too-few-sampled': {
    means: 'Not known: too few of its blocks are in the sample.',
    known: 'Blocks that were seen themselves: eight at least are needed.',
    next: 'Ask for a larger sample (--sample 1/8, --budget 5%), or for longer.',
  },
  'not-sure': {
    means:
      'Not known: what it holds goes up and down by more than it may have grown; or more than half of it came in the last third of the time, as both a leak that began then and what turns over do.',
    known: 'The interval of its growth, and what it held at each reading.',
    next: WATCH_LONGER,
  },
  'frees-keep-pace': {
    means:
      'Unknown: the site grows and nothing references its blocks, but over the last half of the time at least half as much of the same order (or slab cache) was freed that had been allocated before the recording. Blocks that merely outlive the recording look like this.',
    known:
      'Frees that match no recorded allocation, by order; the objects in use that /proc/slabinfo counts, by cache.',
    next: 'Record for longer than the blocks live: --interval 1h. page_owner (page_owner=on) knows what was allocated before.',
  },
  'maybe-free': {
    means:
      'Unknown: the site would be called leaking, but a quarter or more of its objects may be free: the freelists of their slabs could not be read.',
    known: 'The freelist of each slab, read again when it changed meanwhile.',
    next: 'Run it again; --type page reports the slabs’ pages.',
  },
};
