import type { SearchErrorCode } from '../../many/search.js';
import type { Explanations } from './explanation.js';

/** Why one of many files was not opened: `error.code` of its line. */
export const SEARCH_ERRORS: Explanations<SearchErrorCode> = {
  'unsupported-name': {
    means: 'The name of a file is not UTF-8: it cannot be told, and cannot be opened by it.',
    known: 'readdir(3)',
    next: 'Rename it.',
  },
  'too-deep': {
    means: 'A folder lies so deep below the one that was named that it was not looked into.',
    known: 'The number of folders above it: 256 at most are gone through.',
    next: 'Name that folder itself.',
  },
  'unreadable-file': {
    means:
      'A file cannot be looked at for a reason of the machine: a failing disk, a lost network drive.',
    known: 'errno, which the message has.',
    next: 'Copy it, or look at the machine’s log.',
  },
};
