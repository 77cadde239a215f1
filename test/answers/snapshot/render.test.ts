import { expect, test } from 'vitest';
import { snapshotJson } from '../../../src/answers/snapshot/render.js';
import type { Snapshot } from '../../../src/capture/write/snapshot.js';

const FOUND: Snapshot = {
  takenAt: new Date(0),
  bytes: 1,
  files: 1,
  processes: 1,
  kernelThreads: 2,
  missingProcesses: 0,
  namespaces: 1,
  closedNamespaces: 0,
  parts: [],
  leftOut: [],
  anonymized: false,
  failures: [],
  seconds: 1,
  failureCounts: { gone: 7, denied: 0, unreadable: 0, absent: 9, cut: 0, large: 0 },
};
const WRITTEN = { file: 'x', intervalSeconds: 1, priority: { nice: 10, idleIo: true }, uncached: true };

test('files that vanish or never exist do not make a snapshot incomplete', () => {
  expect(snapshotJson(FOUND, WRITTEN).complete).toBe(true);
});

test.each(['denied', 'unreadable', 'cut'] as const)(
  '%s makes it incomplete, even if the list of failures was full',
  (code) => {
    const failureCounts = { ...FOUND.failureCounts, [code]: 1 };
    expect(snapshotJson({ ...FOUND, failureCounts }, WRITTEN).complete).toBe(false);
  },
);
