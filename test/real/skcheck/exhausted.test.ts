import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { skcheckSchema } from '../../../src/answers/skcheck/schema.js';
import { Stage, skcheck, until } from './stage.js';

const stage = new Stage();
const dir = mkdtempSync(join(tmpdir(), 'skcheck-'));
chmodSync(dir, 0o755);
afterAll(() => {
  stage.end();
  rmSync(dir, { recursive: true });
});

let port = 0;
beforeAll(async () => {
  ({ port } = (await stage.pair({}, { bytes: 5000 })).server);
});

/** Expects that the stalled reader is found, or that one line reports what is missing. */
function expectFoundOrReported(wrapper: string[]): 'found' | 'told' {
  const run = skcheck(['--stale', '--interval', '0.5', '--json'], wrapper);
  expect(run.stderr.replaceAll(/^skcheck: [^\n]+\n/gm, '')).toBe('');
  if (run.status === 1) {
    const { sockets } = skcheckSchema.parse(JSON.parse(run.stdout));
    expect(sockets.map(({ local }) => local)).toContain(`127.0.0.1:${port}`);
    return 'found';
  }
  expect(run).toMatchObject({ status: 3, stdout: '' });
  expect(run.stderr).toMatch(/^skcheck: [^\n]+ cannot be (?:started|read)[^\n]+ulimit[^\n]+\n$/);
  return 'told';
}

// With fewer than 20 Node itself does not start.
test.each([20, 22, 24, 26, 28, 30, 32, 34, 40])('with %d descriptors', (count) => {
  expectFoundOrReported(['sh', '-c', `ulimit -n ${count}; exec "$@"`, 'sh']);
});

test('few and many give one outcome each', () => {
  const outcomes = [22, 400].map((count) => expectFoundOrReported(['sh', '-c', `ulimit -n ${count}; exec "$@"`, 'sh']));
  expect(outcomes).toEqual(['told', 'found']);
});

describe('processes of ss exit with it', () => {
  test('a grandchild that keeps its pipe', async () => {
    const mark = `skcheck-test-${process.pid}`;
    writeFileSync(join(dir, 'ss'), `#!/bin/sh\nsh -c 'sleep 600; :' ${mark} &\necho x\nwait\n`);
    chmodSync(join(dir, 'ss'), 0o755);
    const env = { PATH: `${dir}:${process.env.PATH}` };
    // It is interrupted long before ss times out.
    const run = skcheck(['--netns', 'own'], ['timeout', '-s', 'INT', '3'], env);
    expect(run.stdout).toBe('');
    // A killed process is visible until the kernel has reaped it; otherwise it sleeps for 600 s.
    await until(() => spawnSync('pgrep', ['-f', mark], { encoding: 'utf8' }).stdout === '');
  });
});
