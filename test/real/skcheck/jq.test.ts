import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { commandPath } from '../../support/cli.js';
import { commandLines, DOCUMENTS, textOf } from '../../support/documents.js';
import { connections, isBlocked } from './queues.js';
import { type Actor, Stage, until } from './stage.js';

const LINES = DOCUMENTS.flatMap((path) => commandLines(textOf(path)).filter((line) => /^skcheck .*\| jq /.test(line)));

const folder = mkdtempSync(join(tmpdir(), 'skcheck-jq-'));
const stage = new Stage();
let stalled: Actor;
afterAll(() => {
  stage.end();
  rmSync(folder, { recursive: true });
});

beforeAll(async () => {
  const skcheck = join(folder, 'skcheck');
  writeFileSync(skcheck, `#!/bin/sh\nexec '${process.execPath}' '${commandPath('skcheck')}' "$@"\n`);
  chmodSync(skcheck, 0o755);
  // It has more to write than the buffers of its stalled reader can hold.
  const pair = await stage.pair({}, {});
  stalled = pair.server;
  await until(() => connections(stalled.port).clients.some(isBlocked));
});

/** A command line of a document, as a shell runs it. */
function run(line: string): string {
  const { status, stdout, stderr } = spawnSync('sh', ['-c', line], {
    encoding: 'utf8',
    env: { ...process.env, PATH: `${folder}:${process.env.PATH}` },
  });
  expect([line, stderr, status]).toEqual([line, '', 0]);
  return stdout;
}

test('the documents query skcheck’s JSON with jq', () => {
  expect(LINES).toHaveLength(2);
});

test('prints the codes of reasons in one row for each socket', () => {
  const rows = run(LINES[0]!)
    .split('\n')
    .map((row) => row.split('\t'));
  const row = rows.find(([pid]) => pid === `${stalled.pid}`);
  expect(row?.slice(2)).toEqual([
    'stalled-reader',
    expect.stringMatching(/^consumed-nothing,(?:also-dropped,)?local-peer,owner-/),
  ]);
});

test('figures of reasons add up to the unacknowledged data in ss', () => {
  const unsent = Number(run(LINES[1]!));
  const { clients } = connections(stalled.port);
  const sendQ = clients.reduce((sum, client) => sum + client.sendQ, 0);
  expect(sendQ).toBeGreaterThan(100_000);
  expect(unsent).toBeGreaterThanOrEqual(sendQ);
});
