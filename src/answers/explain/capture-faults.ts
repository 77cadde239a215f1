import type { CaptureFault } from '../../capture/read/manifest.js';
import type { Explanations } from './explanation.js';

const AGAIN = 'Copy the file again from its host, in binary mode, or take a new snapshot.';
const SUMS = 'The size and checksum of each file in the manifest.';

/** What `kdump-mem snapshot --verify` finds wrong. */
export const CAPTURE_FAULTS: Explanations<CaptureFault['code']> = {
  'archive-damaged': {
    means: 'The archive is truncated, or is not a tar archive as snapshots are.',
    known: 'Checksums of gzip and of tar headers.',
    next: AGAIN,
  },
  'archive-unreadable': {
    means: 'The archive could not be read to its end, for a reason of this machine.',
    known: 'The errno in the message.',
    next: 'Copy it to another disk, or check the log of this machine.',
  },
  'manifest-missing': {
    means: 'The archive has no manifest: it is truncated, or not a snapshot.',
    known: 'The file `manifest`, which is written last.',
    next: AGAIN,
  },
  'manifest-damaged': {
    means: 'The manifest is malformed: files cannot be verified.',
    known: 'Its last line, which has the number of lines, and the format of each line.',
    next: AGAIN,
  },
  'file-missing': {
    means: 'A file that the manifest lists is not in the archive.',
    known: SUMS,
    next: AGAIN,
  },
  'file-changed': {
    means: 'A file changed after the capture: its size or checksum differs.',
    known: SUMS,
    next: `Do not trust its content. ${AGAIN}`,
  },
  'file-foreign': {
    means: 'The archive contains a file that is not in the manifest: it was added later.',
    known: SUMS,
    next: 'Ask for the original snapshot.',
  },
  'file-twice': {
    means: 'The archive contains a file more than once. Which of them was captured is unknown.',
    known: 'The names in the archive.',
    next: AGAIN,
  },
  'file-too-large': {
    means: 'A file is larger than any that a snapshot has, and was not summed.',
    known: 'Its size in the archive: 64 MiB are read at most.',
    next: 'Ask for the snapshot as it was taken.',
  },
};
