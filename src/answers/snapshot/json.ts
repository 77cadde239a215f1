import type { Priority } from '../../capture/write/priority.js';
import type { Snapshot } from '../../capture/write/snapshot.js';
import type { Verified } from '../../capture/write/verify.js';
import type { SnapshotJson, SnapshotVerifyJson } from './schema.js';

/** Maximum number of errors and faults that are listed. */
const MOST_LISTED = 50;

interface Written {
  readonly file: string;
  readonly intervalSeconds: number;
  readonly priority: Priority;
  /** The file was dropped from the page cache. */
  readonly uncached: boolean;
}

export function snapshotJson(found: Snapshot, written: Written): SnapshotJson {
  const { denied, unreadable, cut } = found.failureCounts;
  const bad = found.failures.filter(({ code }) => code !== 'gone' && code !== 'absent');
  return {
    schema: 'kdump-mem.snapshot/1',
    file: written.file,
    sizeBytes: found.bytes,
    takenAt: found.taken.toISOString(),
    seconds: Math.round(found.seconds * 1000) / 1000,
    intervalSeconds: written.intervalSeconds,
    files: found.files,
    processes: found.processes,
    namespaces: found.namespaces,
    closedNamespaces: found.closedNamespaces,
    parts: [...found.parts],
    leftOut: [...found.leftOut],
    anonymized: found.anonymized,
    errorCounts: { ...found.failureCounts },
    errors: bad.slice(0, MOST_LISTED),
    // By counts: not each failure may have had room in the list.
    complete: denied + unreadable + cut + found.closedNamespaces === 0,
    priority: written.priority,
    uncached: written.uncached,
  };
}

export function snapshotVerifyJson(file: string, found: Verified): SnapshotVerifyJson {
  const listed = found.faults.slice(0, MOST_LISTED);
  return {
    schema: 'kdump-mem.snapshot-verify/1',
    file,
    intact: found.faults.length === 0,
    files: found.files,
    bytes: found.bytes,
    problems: listed.map(({ words }) => words),
    faults: listed.map(({ code, path }) => ({ code, path })),
    problemCount: found.faults.length,
  };
}
