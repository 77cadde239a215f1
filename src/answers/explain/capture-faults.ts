import type { CaptureFault } from '../../capture/read/manifest.js';
import type { Explanations } from './explanation.js';

const AGAIN = 'Copy it again from where it was taken, in binary; else take another.';
const SUMS = 'The manifest, which has the size and checksum of each file.';

/** What `kdump-mem snapshot --verify` finds wrong. */
export const CAPTURE_FAULTS: Explanations<CaptureFault['code']> = {
  'archive-damaged': {
    means: 'The archive ends too early, or is no tar of the kind that snapshots are.',
    known: 'Checksums of gzip and of the tar’s headers.',
    next: AGAIN,
  },
  'archive-unreadable': {
    means: 'The archive could not be read to its end, for a reason of this machine.',
    known: 'errno, which the words have.',
    next: 'Copy it to another disk, or look at the machine’s log.',
  },
  'manifest-missing': {
    means: 'The archive has no manifest: it was cut off, or is no snapshot.',
    known: 'The file `manifest`, which is written last.',
    next: AGAIN,
  },
  'manifest-damaged': {
    means: 'The manifest is not as it is written: nothing can be held against it.',
    known: 'Its last line, which counts the others, and the form of each.',
    next: AGAIN,
  },
  'file-missing': {
    means: 'A file that the manifest lists is not in the archive.',
    known: SUMS,
    next: AGAIN,
  },
  'file-changed': {
    means: 'A file is not what was captured: its size or checksum is another.',
    known: SUMS,
    next: `Do not trust what it tells. ${AGAIN}`,
  },
  'file-foreign': {
    means: 'A file is in the archive that the manifest does not list: somebody put it there.',
    known: SUMS,
    next: 'Ask who packed it again, and for the snapshot as it was taken.',
  },
  'file-twice': {
    means: 'The archive has a file more than once: which of them was captured is not known.',
    known: 'The names in the archive.',
    next: AGAIN,
  },
  'file-too-large': {
    means: 'A file is larger than any that a snapshot has, and was not summed.',
    known: 'Its size in the archive: 64 MiB are read at most.',
    next: 'Ask for the snapshot as it was taken.',
  },
};
