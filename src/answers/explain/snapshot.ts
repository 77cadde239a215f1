import type { LeftOut } from '../../capture/read/contents.js';
import type { CaptureFault } from '../../capture/read/manifest.js';
import type { Condition } from '../../capture/write/when/trigger.js';
import type { Explanations } from './schema.js';

/** Conditions that trigger a snapshot. */
export const SNAPSHOT_CONDITIONS: Explanations<Condition['kind']> = {
  psi: {
    means: 'Some tasks stalled on memory for a larger share of 10 s than the limit.',
    known: 'avg10 of the line “some” in /proc/pressure/memory.',
    next: 'See where the memory is: kdump-mem memory --from FILE.',
  },
  'psi-full': {
    means: 'All tasks stalled on memory at once for a larger share of 10 s than the limit.',
    known: 'avg10 of the line “full” in /proc/pressure/memory.',
    next: 'See where the memory is: kdump-mem memory --from FILE.',
  },
  available: {
    means: 'MemAvailable was below the limit.',
    known: '/proc/meminfo.',
    next: 'See where the memory is: kdump-mem memory --from FILE.',
  },
  oom: {
    means: 'The OOM killer killed processes since the last snapshot.',
    known: 'oom_kill in /proc/vmstat.',
    next: 'See which processes: kdump-mem triage --from FILE.',
  },
};

const ON_PURPOSE = 'The manifest of the snapshot.';

/** Data that a snapshot excludes on purpose. */
export const SNAPSHOT_LEFT_OUT: Explanations<LeftOut> = {
  environment: {
    means: 'The environment of processes is never included: it may contain passwords.',
    known: ON_PURPOSE,
    next: 'None: there is no option for them.',
  },
  arguments: {
    means: 'Process arguments and the kernel command line are excluded.',
    known: ON_PURPOSE,
    next: 'If they contain no secrets, take the snapshot with --with arguments.',
  },
  'unix-paths': {
    means: 'Unix socket names are excluded and replaced by (left-out).',
    known: ON_PURPOSE,
    next: 'Take the snapshot with --with unix-paths.',
  },
  log: {
    means: 'The kernel log is excluded.',
    known: ON_PURPOSE,
    next: 'Take the snapshot without --anonymize. A log contains names in free text.',
  },
  names: {
    means: 'Names and addresses are replaced consistently.',
    known: ON_PURPOSE,
    next: 'If they may be disclosed, take the snapshot without --anonymize.',
  },
};

const AGAIN = 'Copy the file again from its host, in binary mode, or take a new snapshot.';
const SUMS = 'The size and checksum of each file in the manifest.';

/** Problems found by `kdump-mem snapshot --verify`. */
export const CAPTURE_FAULTS: Explanations<CaptureFault['code']> = {
  'archive-damaged': {
    means: 'The archive is truncated, or is not a tar archive.',
    known: 'Checksums of gzip and of tar headers.',
    next: AGAIN,
  },
  'archive-unreadable': {
    means: 'The archive could not be read to its end because of a problem on this machine.',
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
  'file-missing': { means: 'A file that the manifest lists is not in the archive.', known: SUMS, next: AGAIN },
  'file-changed': {
    means: 'A file changed after the capture: its size or checksum differs.',
    known: SUMS,
    next: `Do not trust its content. ${AGAIN}`,
  },
  'file-foreign': {
    means: 'The archive contains a file that is not in the manifest: it was added later.',
    known: SUMS,
    next: 'Request the original snapshot.',
  },
  'file-twice': {
    means: 'The archive contains a file more than once. Which of them was captured is unknown.',
    known: 'The names in the archive.',
    next: AGAIN,
  },
  'file-too-large': {
    means: 'A file is too large for a snapshot, so its checksum was not computed.',
    known: 'Its size in the archive: at most 64 MiB are read.',
    next: 'Request the original snapshot.',
  },
};
