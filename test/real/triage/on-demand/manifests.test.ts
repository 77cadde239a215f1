import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { DumpDirectory } from '../../../support/dump/file.js';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const MANIFEST = `${ROOT}deploy/kubernetes/triage-job.yaml`;

/** What is wrong with each manifest of a file, as the API of Kubernetes has it. */
function wrongIn(file: string): (string | null)[] {
  const told = execFileSync(process.execPath, [`${ROOT}test/clusters/validate.mjs`, file]);
  return JSON.parse(told.toString());
}

test('the indexed job is one of the API of Kubernetes', () => {
  expect(wrongIn(MANIFEST)).toEqual([null]);
});

const SNAPSHOTS = `${ROOT}deploy/kubernetes/snapshot-daemonset.yaml`;

test('the DaemonSet that saves snapshots is one of the API of Kubernetes', () => {
  expect(wrongIn(SNAPSHOTS)).toEqual([null]);
  const folder = new DumpDirectory();
  const text = readFileSync(SNAPSHOTS, 'utf8').replace('hostPID: true', 'hostPID: often');
  expect(wrongIn(folder.write('set.yaml', text))).not.toEqual([null]);
  folder.dispose();
});

test.each([
  ['completionMode: Indexed', 'completionMode: Numbered'],
  ['completions: 8', 'completions: eight'],
  ['readOnlyRootFilesystem: true', 'readOnlyRootFilesystem: sometimes'],
  ['restartPolicy: Never', 'restartPolicy: 3'],
])('%s is held against it: %s is refused', (right, wrong) => {
  const folder = new DumpDirectory();
  const text = readFileSync(MANIFEST, 'utf8');
  expect(text).toContain(right);
  const [said] = wrongIn(folder.write('job.yaml', text.replace(right, wrong)));
  expect(said).not.toBeNull();
  folder.dispose();
});

test('there are as many shards as pods', () => {
  const text = readFileSync(MANIFEST, 'utf8');
  const [, completions] = /completions: (\d+)/.exec(text) ?? [];
  const [, shards] = /--shard kubernetes\/(\d+)/.exec(text) ?? [];
  expect(shards).toBe(completions);
});
