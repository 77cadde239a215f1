import type { Gentle } from '../../capture/write/gentle.js';
import type { Snapshot } from '../../capture/write/snapshot.js';
import type { Verified } from '../../capture/write/verify.js';
import type { SnapshotJson, SnapshotVerifyJson } from './schema.js';

/** So many are told one by one. */
const MOST_TOLD = 50;

interface Written {
  readonly file: string;
  readonly intervalSeconds: number;
  readonly gentle: Gentle & { readonly uncached: boolean };
}

/** What a snapshot says of itself. */
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
    errors: bad.slice(0, MOST_TOLD),
    // By counts: not each failure may have had room in the list.
    complete: denied + unreadable + cut + found.closedNamespaces === 0,
    gentle: written.gentle,
  };
}

export function snapshotVerifyJson(file: string, found: Verified): SnapshotVerifyJson {
  const told = found.faults.slice(0, MOST_TOLD);
  return {
    schema: 'kdump-mem.snapshot-verify/1',
    file,
    whole: found.faults.length === 0,
    files: found.files,
    bytes: found.bytes,
    problems: told.map(({ words }) => words),
    faults: told.map(({ code, path }) => ({ code, path })),
    problemCount: found.faults.length,
  };
}
