import type { Place, Unplaced } from '../../leaks/survivors/place.js';
import type { Explanation, Explanations } from './explanation.js';

const FRAMES = 'The struct page of each frame, by /proc/kcore; else its flags (/proc/kpageflags).';
const SOCKETS = 'kdump-mem sockets --by process --live';

const place = (means: string, next: string, deeper?: string, known = FRAMES): Explanation => ({
  means,
  known,
  next,
  ...(deeper === undefined ? {} : { deeper }),
});

/** Where blocks are that were not freed. */
export const LEAK_PLACES: Explanations<Place> = {
  free: place(
    'It is free by now: it was freed after the recording ended, or its free was not seen.',
    'Nothing.',
  ),
  reused: place('It was freed, and the frame or slot is another block’s now.', 'Nothing.'),
  'page-cache': place(
    'It holds contents of a file. The kernel takes it back where memory is short.',
    'Nothing, as long as memory is not short all the same.',
    'kdump-mem memory --live --files',
  ),
  shared: place(
    'It is of tmpfs or shared memory, and stays until the file is removed.',
    'See which file.',
    'kdump-mem memory --live --files',
  ),
  anonymous: place(
    'It is memory of a process: heap, stack.',
    'See which process grows.',
    'kdump-mem procs --live --watch',
  ),
  'page-table': place(
    'It is a page table of a process or of the kernel.',
    'See which process maps so much.',
    'kdump-mem procs --live',
  ),
  'kernel-stack': place(
    'It is the stack of a thread in the kernel.',
    'See who has so many threads.',
    'kdump-mem stacks --live',
  ),
  pipe: place('It is data in a pipe that nobody has read.', 'See who has the pipe open.'),
  slab: place(
    'It is in a slab cache, which the answer names.',
    'See whether the cache grows.',
    'kdump-mem memory --live --caches',
  ),
  vmalloc: place(
    'It is in an area of vmalloc.',
    'See who asked for the area.',
    'kdump-mem memory --live --vmalloc',
  ),
  socket: place(
    'It waits in a queue of a socket; the answer names the socket and who has it open.',
    'Let that process read, or close the socket.',
    SOCKETS,
    'The queues of all sockets, skb by skb, by /proc/kcore.',
  ),
  network: place(
    'The network holds it, and no socket: packets that wait, rings of drivers.',
    'See the rows beside the sockets.',
    'kdump-mem sockets -v --live',
  ),
  'page-pool': place(
    'A page pool of a driver has it: for packets that are to come, or that somebody has.',
    'A pool that grows without end: its packets are not given back. See which sockets hold some.',
    SOCKETS,
  ),
  ring: place(
    'It is a ring of tracing, perf, io_uring, BPF or virtio.',
    'See which program asked for the ring.',
  ),
  kernel: place(
    'The kernel uses it for what the category beside it says.',
    'See what kdump-mem explain says of that category.',
  ),
  nobody: place(
    'Nothing that is known leads to it.',
    'Look at the functions of the stack, and the module that has them.',
    'kdump-mem memory --live',
  ),
  'not-known': place(
    'It is not known where it is; it is not counted as free.',
    'Read why: the reason stands beside it.',
  ),
};

/** Why it is not known where a block is. */
export const LEAK_UNPLACED: Explanations<Unplaced> = {
  'from-file': {
    means: 'What was recorded is of another time or machine: its blocks cannot be looked up here.',
    known: 'The answer is of --from.',
    next: 'Run kdump-mem leaks on the machine itself.',
  },
  'no-source': {
    means: 'Neither /proc/kcore nor /proc/kpageflags can be read: no block is looked up.',
    known: 'Both were tried; `unavailable` of the answer says what each said.',
    next: 'Ask as root, on the machine and not in a container without these files.',
    deeper: 'kdump-mem doctor',
  },
  'flags-only': {
    means: 'Only flags of page frames can be read, and they tell nothing of this one.',
    known: '/proc/kpageflags.',
    next: 'Ask where /proc/kcore can be read.',
    deeper: 'kdump-mem doctor',
  },
  unreadable: {
    means: 'The struct page of it cannot be read, or contradicts itself.',
    known: 'The kernel’s memory, through /proc/kcore; it changes while it is read.',
    next: 'Nothing, of few. Of many ask again when the machine is calmer.',
  },
  'no-such-frame': {
    means: 'There is no such memory on this machine.',
    known: 'The numbers of page frames that this machine has.',
    next: 'What was recorded is of another machine, or memory was taken out since.',
  },
};
