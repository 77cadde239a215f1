import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { commandPath } from '../../../support/cli.js';
import { DumpTree } from '../../../support/dump-tree.js';
import { Slurm } from '../../../support/slurm.js';
import { parseRun } from '../../../support/triage-run.js';

const SCRIPT = fileURLToPath(new URL('../../../../deploy/slurm/triage.sbatch', import.meta.url));
const TASKS = 4;

let tree: DumpTree;
let slurm: Slurm;
let environment: NodeJS.ProcessEnv;
beforeAll(async () => {
  tree = new DumpTree({ whole: 4, flattened: 2, cut: 6, damaged: 4, empty: 4, texts: 4 });
  slurm = new Slurm(2);
  const TRIAGE = join(slurm.folder, 'triage');
  mkdirSync(TRIAGE);
  const KDUMP_MEM = commandPath('kdump-mem');
  environment = { CRASHES: tree.path, TRIAGE, KDUMP_MEM, SHARDS: String(TASKS) };
  await slurm.start();
});
afterAll(async () => {
  await slurm.stop();
  tree.dispose();
});

const outputs = () => readdirSync(environment.TRIAGE!).toSorted();
const runs = () => outputs().map((name) => parseRun(readFileSync(join(environment.TRIAGE!, name), 'utf8')));

test('the tasks of an array process each dump once', () => {
  slurm.submit(SCRIPT, `0-${TASKS - 1}`, environment);
  expect(outputs()).toEqual([0, 1, 2, 3].map((index) => `crashes-${index}.ndjson`));
  const all = runs().flatMap(({ lines }) => lines.map(({ dump }) => dump));
  expect(all.toSorted()).toEqual(tree.dumps);
  expect(runs().map(({ end }) => end.shard)).toEqual([0, 1, 2, 3].map((index) => ({ index, of: TASKS })));
});

test('a lost task is resubmitted on its own', () => {
  const before = runs();
  rmSync(join(environment.TRIAGE!, 'crashes-2.ndjson'));
  slurm.submit(SCRIPT, '2', environment);
  const after = runs();
  expect(after.map(({ lines }) => lines.map(({ dump }) => dump))).toEqual(
    before.map(({ lines }) => lines.map(({ dump }) => dump)),
  );
  expect(after[2]?.end.resumed).toBe(0);
  // Its messages besides the lines are kept.
  expect(readdirSync(slurm.folder).filter((name) => name.endsWith('-2.log'))).toHaveLength(2);
});
