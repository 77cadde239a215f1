import type { LeakReason } from '../../leaks/verdict.js';
import type { Explanations } from './explanation.js';

const WATCH_LONGER = 'Record longer: --interval 1h.';

/** The reasons behind the verdicts of `kdump-mem leaks`. */
export const LEAK_REASONS_EXPLAINED: Explanations<LeakReason> = {
  unreferenced: {
    means:
      'Leaking: memory of this stack grows steadily, blocks of each third of the recording are still held, and nothing is known to reference them.',
    known:
      'Readings over three windows or more, and the category of every page frame (/proc/kcore): these blocks are unattributed, or in vmalloc areas or slab caches without a known owner.',
    next: 'Check the functions of the stack and their module. A driver cache that grows permanently looks the same.',
    deeper: 'kdump-mem memory --live',
  },
  queued: {
    means:
      'Leaking: memory of this stack grows steadily, and most of it is queued and unread in sockets, rings or page pools.',
    known: 'The queues of all sockets, through /proc/kcore.',
    next: 'Find the process that is not reading (skcheck --stale), then its sockets: kdump-mem skb --pid N --live.',
    deeper: 'kdump-mem sockets --by process --live',
  },
  reclaimable: {
    means:
      'Growing, but reclaimable: page cache or reclaimable slab, which the kernel frees under memory pressure.',
    known: 'Page flags, or the flags of the slab cache.',
    next: 'Nothing, unless memory still runs out.',
    deeper: 'kdump-mem memory --live --files',
  },
  'process-owned': {
    means:
      'Growing, but owned by processes: their memory, page tables, stacks or files. It is freed when they exit.',
    known: 'The category or slab cache of the blocks.',
    next: 'Find the process that grows.',
    deeper: 'kdump-mem procs --live --watch',
  },
  'kernel-owned': {
    means: 'Growing, and in use by the kernel for a known purpose.',
    known: 'The category of the blocks: `category` in the answer.',
    next: 'Run kdump-mem explain with that category.',
    deeper: 'kdump-mem memory --live',
  },
  'location-unknown': {
    means:
      'Growing, but the location of the blocks is unknown: they were not checked, or page flags do not show it.',
    known: 'The sources of the answer.',
    next: 'Run it as root where /proc/kcore is readable. Otherwise check sockets with skcheck --stale.',
    deeper: 'skcheck --stale',
  },
  unsteady: {
    means:
      'Growing, but not steadily, or the early blocks are mostly freed: a leak, or long-lived memory.',
    known: 'The three thirds of the recording, compared.',
    next: WATCH_LONGER,
  },
  'turns-over': {
    means:
      'Transient: the held blocks are from the last third of the recording; earlier blocks were freed.',
    known: 'The allocation time of each block that is still held.',
    next: 'Nothing.',
  },
  slowing: {
    means: 'Transient: the growth slowed or stopped, as in a cache that fills.',
    known: 'The memory held in each third of the recording.',
    next: 'Nothing.',
  },
  freed: {
    means: 'Transient: every block was already free or reused when checked.',
    known: 'The current contents of those page frames.',
    next: 'Nothing.',
  },
  'too-few-windows': {
    means: 'Unknown: growth needs at least three windows.',
    known: 'Readings of the recording.',
    next: 'Use more windows (--windows 15); with files, give more copies.',
  },
  'sample-too-small': {
    means: 'Unknown: the sample contains too few of its blocks.',
    known: 'The blocks in the sample: at least eight are needed.',
    next: 'Use a larger sample (--sample 1/8, --budget 5%), or record longer.',
  },
  inconclusive: {
    means:
      'Unknown: the variation is larger than the growth, or more than half of it appeared in the last third of the recording. Both a new leak and short-lived memory look like this.',
    known: 'The interval of its growth, and the memory held at each reading.',
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
