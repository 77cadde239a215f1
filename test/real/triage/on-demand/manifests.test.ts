import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { DumpDirectory } from '../../../support/dump/file.js';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const FOLDER = `${ROOT}deploy/kubernetes/`;
const MANIFEST = `${FOLDER}triage-job.yaml`;

/** Errors of each manifest in a file, by the Kubernetes API. */
function wrongIn(file: string): (string | null)[] {
  const output = execFileSync(process.execPath, [`${ROOT}test/clusters/validate.mjs`, file]);
  return JSON.parse(output.toString());
}

test.each([
  ['network-policy.yaml', 2],
  ['skcheck-daemonset.yaml', 1],
  ['skcheck-podmonitor.yaml', 1],
  ['snapshot-daemonset.yaml', 1],
  ['triage-job.yaml', 1],
])('%s conforms to the API of Kubernetes, or of the Prometheus operator', (file, documents) => {
  expect(wrongIn(`${FOLDER}${file}`)).toEqual(Array(documents).fill(null));
  expect(readdirSync(FOLDER)).toHaveLength(5);
});

test.each([
  ['triage-job', 'completionMode: Indexed', 'completionMode: Numbered'],
  ['triage-job', 'completions: 8', 'completions: eight'],
  ['triage-job', 'readOnlyRootFilesystem: true', 'readOnlyRootFilesystem: sometimes'],
  ['triage-job', 'restartPolicy: Never', 'restartPolicy: 3'],
  ['snapshot-daemonset', 'hostPID: true', 'hostPID: often'],
  ['skcheck-daemonset', 'type: Unconfined', 'type: 1'],
  ['skcheck-daemonset', 'drop: ["ALL"]', 'drop: ALL'],
  ['skcheck-podmonitor', 'port: metrics', 'port: 9700'],
  ['skcheck-podmonitor', 'interval: 60s', 'interval: often'],
  ['network-policy', 'policyTypes: ["Ingress", "Egress"]', 'policyTypes: Ingress'],
])('%s: replacing %s by an invalid value: %s is refused', (file, right, wrong) => {
  const folder = new DumpDirectory();
  const text = readFileSync(`${FOLDER}${file}.yaml`, 'utf8');
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

test('the placeholder image is not a valid name: its pod reports InvalidImageName', () => {
  const images = readdirSync(FOLDER).flatMap((file) => [
    ...readFileSync(`${FOLDER}${file}`, 'utf8').matchAll(/^ +image: (\S+)$/gm),
  ]);
  expect(images).toHaveLength(3);
  const { version } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8'));
  // Repository names are lower case (the grammar of distribution/reference), and so are registries
  // without a dot.
  for (const [, image = ''] of images) expect(image).toBe(`YOUR-REGISTRY/kdump-mem:${version}`);
});
