import type { Place, Unplaced } from '../../leaks/survivors/place.js';
import type { Explanation, Explanations } from './explanation.js';

const FRAMES = 'The struct page of each frame (/proc/kcore), or its flags (/proc/kpageflags).';
const SOCKETS = 'kdump-mem sockets --by process --live';

const place = (means: string, next: string, deeper?: string, known = FRAMES): Explanation => ({
  means,
  known,
  next,
  ...(deeper === undefined ? {} : { deeper }),
});

/** The location of blocks that were not freed. */
export const LEAK_PLACES: Explanations<Place> = {
  free: place('Already free: freed after the recording, or its free was not recorded.', 'Nothing.'),
  reused: place('Freed, and the frame or slot now belongs to another block.', 'Nothing.'),
  'page-cache': place(
    'File contents. The kernel frees it under memory pressure.',
    'Nothing, unless memory still runs out.',
    'kdump-mem memory --live --files',
  ),
  shared: place(
    'tmpfs or shared memory, which stays until the file is removed.',
    'Find the file.',
    'kdump-mem memory --live --files',
  ),
  anonymous: place(
    'Memory of a process: heap or stack.',
    'Find the process that grows.',
    'kdump-mem procs --live --watch',
  ),
  'page-table': place(
    'A page table of a process or of the kernel.',
    'Find the process with large mappings.',
    'kdump-mem procs --live',
  ),
  'kernel-stack': place(
    'The kernel stack of a thread.',
    'Find the process with many threads.',
    'kdump-mem stacks --live',
  ),
  pipe: place('Unread data in a pipe.', 'Find the processes that have the pipe open.'),
  slab: place(
    'An object in a slab cache, named in the answer.',
    'Check whether the cache grows.',
    'kdump-mem memory --live --caches',
  ),
  vmalloc: place(
    'Part of a vmalloc area.',
    'Find the caller of the area.',
    'kdump-mem memory --live --vmalloc',
  ),
  socket: place(
    'Queued in a socket. The answer names the socket and its owners.',
    'Make the process read, or close the socket.',
    SOCKETS,
    'The queues of all sockets, skb by skb, through /proc/kcore.',
  ),
  network: place(
    'Held by the network stack, not by a socket: queued packets or driver rings.',
    'Check the rows outside the sockets.',
    'kdump-mem sockets -v --live',
  ),
  'page-pool': place(
    'Held by a driver’s page pool, for received or future packets.',
    'If the pool keeps growing, its packets are not freed. Find the sockets that hold them.',
    SOCKETS,
  ),
  ring: place(
    'A ring buffer of tracing, perf, io_uring, BPF or virtio.',
    'Find the program that created the ring.',
  ),
  kernel: place(
    'In use by the kernel, for the category beside it.',
    'Run kdump-mem explain with that category.',
  ),
  unreferenced: place(
    'Unreferenced: nothing is known to reference it.',
    'Check the functions of the stack and their module.',
    'kdump-mem memory --live',
  ),
  unknown: place(
    'Its location is unknown; it does not count as free.',
    'Read the reason beside it.',
  ),
};

/** Why the location of a block is unknown. */
export const LEAK_UNPLACED: Explanations<Unplaced> = {
  'from-file': {
    means: 'The recording is from another time or machine: its blocks cannot be checked here.',
    known: 'The answer was made with --from.',
    next: 'Run kdump-mem leaks on the machine itself.',
  },
  'no-source': {
    means: 'Neither /proc/kcore nor /proc/kpageflags is readable: no block was checked.',
    known: 'The error of each, in `unavailable` of the answer.',
    next: 'Run it as root on the host, not in a container without these files.',
    deeper: 'kdump-mem doctor',
  },
  'flags-only': {
    means: 'Only page flags are readable, and they do not show the use of this frame.',
    known: '/proc/kpageflags.',
    next: 'Run it where /proc/kcore is readable.',
    deeper: 'kdump-mem doctor',
  },
  unreadable: {
    means: 'Its struct page is unreadable or inconsistent.',
    known: 'Kernel memory, through /proc/kcore; it changes while it is read.',
    next: 'A few are harmless. For many, run it again when the machine is less busy.',
  },
  'no-such-frame': {
    means: 'This machine has no such page frame.',
    known: 'The page frame numbers of this machine.',
    next: 'Check whether the recording is from another machine, or whether memory was removed.',
  },
};
