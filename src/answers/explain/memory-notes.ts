import type { UnnamedCharges } from '../../account/memory/cgroups.js';
import type { UnnamedFiles } from '../../account/memory/files.js';
import type { FrameNote } from '../../account/memory/frame-note.js';
import type { Explanations } from './explanation.js';

const FLAGS = 'Page flags (/proc/kpageflags, include/uapi/linux/kernel-page-flags.h).';

/** Notes of page flags, beside the category. */
export const FRAME_NOTES: Explanations<FrameNote['note']> = {
  thp: {
    means: 'The pages are part of transparent huge pages or large folios.',
    known: FLAGS,
    next: 'A process that uses little of each huge page holds more memory than it needs: see its AnonHugePages.',
    deeper: 'kdump-mem procs --live',
  },
  mlocked: {
    means: 'A process locked the pages (mlock): the kernel cannot swap or reclaim them.',
    known: FLAGS,
    next: 'If large: see VmLck in /proc/PID/status.',
  },
  hwpoison: {
    means: 'The hardware reported memory errors in these frames; the kernel no longer uses them.',
    known: FLAGS,
    next: 'Search the log for memory errors, and replace the memory module.',
    deeper: 'kdump-mem log --level err+',
  },
  'zero-page': {
    means: 'The zero pages, shared by all processes.',
    known: FLAGS,
    next: 'Nothing to do.',
  },
};

type Unnamed = UnnamedCharges['reason'] | UnnamedFiles['reason'];

/** Why the file or cgroup of pages is unknown. */
export const UNNAMED: Explanations<Unnamed> = {
  unread: {
    means: 'The cgroup charge of these pages could not be read.',
    known: 'The struct page, or its target, is not in the dump.',
    next: 'Create a dump that contains it (makedumpfile -d 31 keeps it).',
  },
  unreadable: {
    means: 'The file or cgroup of these pages is unknown: its memory is not available.',
    known: 'The inode, dentry or cgroup that the struct page references.',
    next: 'Use an unfiltered dump, or --live.',
  },
  damaged: {
    means: 'The inode, dentry or cgroup of these pages is inconsistent.',
    known: 'The inode, dentry or cgroup that the struct page references.',
    next: 'With --live, run the command again. For a dump, see the warnings.',
  },
  'not-listed': {
    means: 'The list reached its limit; the memory of further entries is in the total.',
    known: 'A limit of entries, so that kdump-mem itself needs little memory.',
    next: 'Nothing to do: the total is complete.',
  },
  moved: {
    means: 'Pages changed during the scan: the category and its files differ by this amount.',
    known: 'The sum of all files, compared with the category.',
    next: 'If large, run the command again when the machine is less busy.',
  },
};
