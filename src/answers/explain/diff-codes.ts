import type { Status } from '../../diff/lists.js';
import type { Measure } from '../../diff/state.js';
import type { Explanations } from './explanation.js';

const LISTS = 'The lists of the first and of the last input.';

/** Whether first and last have one of a list. */
export const DIFF_STATUSES: Explanations<Status> = {
  both: { means: 'Both times have it.', known: LISTS, next: 'Nothing.' },
  new: { means: 'It came after the first time.', known: LISTS, next: 'See who started it.' },
  ended: { means: 'It was gone by the last time.', known: LISTS, next: 'Nothing.' },
  'was-empty': {
    means: 'At first it had nothing, or was not there.',
    known: LISTS,
    next: 'Nothing.',
  },
  'is-empty': {
    means: 'At last it has nothing, or is not there.',
    known: LISTS,
    next: 'Nothing.',
  },
  'only-after': {
    means: 'Only the last list has it, and the first is not whole: it may have been there before.',
    known: LISTS,
    next: 'Take both lists as root and without --limit.',
  },
  'only-before': {
    means: 'Only the first list has it, and the last is not whole: it may be there still.',
    known: LISTS,
    next: 'Take both lists as root and without --limit.',
  },
};

/** What was compared of each. */
export const DIFF_MEASURES: Explanations<Measure> = {
  pss: {
    means: 'Memory of a process, each shared page divided among those who map it.',
    known: 'smaps_rollup; of a dump page tables.',
    next: 'Nothing: it is the best measure there is, and adds up.',
  },
  rss: {
    means: 'Memory of a process, each shared page counted whole.',
    known: '/proc/PID/statm.',
    next: 'Ask as root: then there is PSS.',
  },
  pinned: {
    means: 'Pages and slab slots that a socket keeps from being freed.',
    known: 'The census of skbs, page by page.',
    next: 'Nothing: it is counted.',
  },
  estimated: {
    means: 'What a socket likely pins.',
    known: 'ss and /proc; skcheck says between which bounds.',
    next: 'Ask skcheck --exact where /proc/kcore can be read.',
    deeper: 'skcheck --exact',
  },
  unread: {
    means: 'Payload in a socket that nobody has read; what it pins may be much more.',
    known: 'The socket’s own counter.',
    next: 'Take both with skcheck --json, which estimates what is pinned.',
  },
  bytes: {
    means: 'Bytes of a slab cache, or of what a caller asked vmalloc for.',
    known: 'Slabs and areas; slabinfo and vmallocinfo.',
    next: 'Nothing.',
  },
  charged: {
    means: 'Pages that are charged to a cgroup, page by page.',
    known: 'memcg_data of each struct page.',
    next: 'Nothing: it is counted.',
  },
  usage: {
    means: 'What a cgroup’s own counter says that it uses.',
    known: 'memory.current.',
    next: 'Nothing.',
  },
};
