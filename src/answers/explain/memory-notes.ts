import type { UnnamedCharges } from '../../account/memory/cgroups.js';
import type { UnnamedFiles } from '../../account/memory/files.js';
import type { FrameNote } from '../../account/memory/frame-note.js';
import type { Explanations } from './explanation.js';

const FLAGS = 'Flags of page frames (/proc/kpageflags, include/uapi/linux/kernel-page-flags.h).';

/** What flags say of page frames besides whose they are. */
export const FRAME_NOTES: Explanations<FrameNote['note']> = {
  thp: {
    means: 'They are part of transparent huge pages or large folios.',
    known: FLAGS,
    next: 'Nothing. A process that touches little of each holds more than it uses: see its maps.',
    deeper: 'kdump-mem procs --live',
  },
  mlocked: {
    means: 'A process locked them (mlock): the kernel can neither swap nor drop them.',
    known: FLAGS,
    next: 'Much of it: see VmLck of /proc/PID/status.',
  },
  hwpoison: {
    means: 'The hardware reported these frames as damaged, and the kernel uses them no more.',
    known: FLAGS,
    next: 'Look for memory errors in the log, and have the memory module changed.',
    deeper: 'kdump-mem log --level err+',
  },
  'zero-page': {
    means: 'They are the pages of zeros that all processes share.',
    known: FLAGS,
    next: 'Nothing.',
  },
};

type Unnamed = UnnamedCharges['reason'] | UnnamedFiles['reason'];

/** Why pages have no file or cgroup by name. */
export const UNNAMED: Explanations<Unnamed> = {
  unread: {
    means: 'Whom they are charged to was not read.',
    known: 'The struct page, or what it points to, is not in the dump.',
    next: 'Ask of a dump that has it (makedumpfile -d 31 keeps it).',
  },
  unreadable: {
    means: 'Whose they are cannot be read: the memory that says so is not there.',
    known: 'The inode, dentry or cgroup that the struct page leads to.',
    next: 'Ask of a whole dump, or live.',
  },
  damaged: {
    means: 'What says whose they are contradicts itself.',
    known: 'The inode, dentry or cgroup that the struct page leads to.',
    next: 'Live it may be gone by the next look: ask again. Of a dump see its warnings.',
  },
  'not-listed': {
    means: 'There are more of them than a list may have; what these hold is in the sum.',
    known: 'A bound on how many are kept apart, so that our own memory stays small.',
    next: 'Nothing: the sum is whole, single names are not.',
  },
  moved: {
    means:
      'Pages came or went while files were counted: the category and the files differ by this.',
    known: 'The sum of all files beside the category.',
    next: 'Nothing, of little. Else ask again when the machine is calmer.',
  },
};
