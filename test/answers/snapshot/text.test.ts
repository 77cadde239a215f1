import { expect, test } from 'vitest';
import { snapshotText, snapshotWarning } from '../../../src/answers/snapshot/render.js';
import type { SnapshotJson } from '../../../src/contracts/snapshot.js';

const FOUND: SnapshotJson = {
  schema: 'kdump-mem.snapshot/1',
  file: 'x',
  sizeBytes: 1,
  seconds: 1,
  intervalSeconds: 1,
  takenAt: '2026-01-02T03:04:05Z',
  files: 1,
  processes: 1,
  kernelThreads: 2,
  missingProcesses: 0,
  namespaces: 1,
  parts: [],
  closedNamespaces: 0,
  leftOut: [],
  anonymized: false,
  complete: false,
  errorCounts: { gone: 9, denied: 3, unreadable: 1, absent: 9, cut: 0, large: 0 },
  errors: [{ path: '/proc/1/\u001b[31m', code: 'denied', words: '' }],
  priority: { nice: 10, idleIo: true },
  uncached: true,
};

test('summarizes the gaps of a snapshot in one sentence', () => {
  expect(snapshotWarning(FOUND)).toBe(
    'the snapshot is incomplete: permission denied for 3 files, 1 file could not be read (first: /proc/1/\\x1b[31m). Answers lack what these files contain. The file “errors” in the archive lists the files',
  );
  const more = { ...FOUND, closedNamespaces: 2, errors: [] };
  const errorCounts = { ...FOUND.errorCounts, denied: 0, unreadable: 0, cut: 1 };
  expect(snapshotWarning({ ...more, errorCounts })).toBe(
    'the snapshot is incomplete: 1 file truncated, 2 network namespaces could not be entered. Answers lack what these files contain. The file “errors” in the archive lists the files',
  );
  expect(snapshotWarning({ ...FOUND, complete: true })).toBeUndefined();
});

test('states missing processes beside the number of those that it has', () => {
  expect(snapshotText(FOUND)).not.toContain('missing');
  const late = { ...FOUND, processes: 0, kernelThreads: 0, missingProcesses: 20_004 };
  expect(snapshotText(late)).toContain(
    '0 processes, 0 kernel threads, 1 network namespace, taken in 1.0 s. Incomplete: 20,004 running processes and kernel threads are missing. Next',
  );
  expect(snapshotWarning({ ...late, missingProcesses: 1 })).toContain(
    'incomplete: 1 running process or kernel thread is missing, permission denied for 3 files',
  );
});
