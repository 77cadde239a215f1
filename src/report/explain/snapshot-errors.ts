import type { FailureCode } from '../../snapshot/failures.js';
import type { Explanations } from './explanation.js';

/** Why a file of the host is not in a snapshot: its file `errors` has these codes. */
export const SNAPSHOT_ERRORS: Explanations<FailureCode> = {
  gone: {
    means: 'It was there, and ended while the snapshot was taken.',
    known: 'ENOENT, ESRCH.',
    next: 'Nothing: processes come and go.',
  },
  denied: {
    means: 'The user that took the snapshot may not read it.',
    known: 'EACCES, EPERM.',
    next: 'Take the snapshot as root; a container may need more capabilities.',
  },
  unreadable: {
    means: 'It could not be read, or the kernel gave no answer in time.',
    known: 'Another error, or no answer for two seconds, or --timeout.',
    next: 'Read what stands behind it in the file errors; take another snapshot with a longer --timeout.',
  },
  absent: {
    means: 'This host or kernel has no such file.',
    known: 'ENOENT.',
    next: 'Nothing: it is no loss.',
  },
  cut: {
    means: 'Only its beginning is in the snapshot.',
    known: 'A limit of size, of number or of time.',
    next: 'Take what is missing from the host itself.',
  },
};
