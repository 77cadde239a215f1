import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { skcheckSchema } from '../../../src/answers/skcheck/schema.js';
import { fixture, incident } from '../../support/fixtures.js';
import { McpClient } from '../../support/mcp.js';
import { parseRun } from '../../support/triage-run.js';
import { Stage } from './stage.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const stage = new Stage();
afterAll(() => stage.end());

/** Runs an executable without node, with all programs that it needs except ss. */
function alone(command: string, args: string[]) {
  const environment = ['-i', 'PATH=/usr/sbin:/sbin'];
  expect(spawnSync('env', [...environment, '/bin/sh', '-c', 'command -v node']).status).not.toBe(0);
  return spawnSync('env', [...environment, `${ROOT}dist/package/${command}`, ...args], { encoding: 'utf8', cwd: '/' });
}

beforeAll(() => {
  const made = spawnSync(`${ROOT}scripts/package`, { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(made.stderr);
});

test('each is one executable of less than 120 MiB', () => {
  for (const command of ['kdump-mem', 'skcheck']) {
    const { size, mode } = statSync(`${ROOT}dist/package/${command}`);
    expect(size).toBeLessThan(120 * 1024 ** 2);
    expect(mode & 0o111).toBe(0o111);
  }
});

test('they print their version and their help', () => {
  for (const command of ['kdump-mem', 'skcheck']) {
    expect(alone(command, ['--version'])).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    });
    expect(alone(command, ['--help']).stdout).toContain(`Usage: ${command}`);
    expect(alone(command, ['--no-such-option']).status).toBe(2);
  }
});

test('skcheck names a stalled reader, and scans repeatedly', async () => {
  const { server } = await stage.pair({}, { bytes: 5000 });
  const { status, stdout } = alone('skcheck', ['--stale', '--json']);
  expect(status).toBe(1);
  const report = skcheckSchema.parse(JSON.parse(stdout));
  expect(report.sockets.map(({ pid }) => pid)).toContain(server.pid);
  const watch = alone('skcheck', ['--watch', '--samples', '2', '--interval', '0.5', '--stale']);
  expect(watch.stdout.trimEnd().split('\n').length).toBe(1);
  expect(alone('skcheck', ['--prometheus']).stdout).toContain('skcheck_stale_sockets');
});

test('kdump-mem opens a dump', () => {
  const none = alone('kdump-mem', ['skb', '--vmcore', '/etc/passwd', '--pid', '1']);
  expect(none.status).toBe(3);
  expect(none.stderr).toMatch(/^kdump-mem: [^\n]+\n$/);
});

test('kdump-mem serves answers to an agent on its own', async () => {
  const program = ['/usr/bin/env', '-i', `${ROOT}dist/package/kdump-mem`] as const;
  await using server = await McpClient.connectTo(program, '--vmcore', incident().vmcore);
  const { failed, text } = await server.call('triage');
  expect([failed, text]).toEqual([false, expect.stringContaining(incident().truth.drgn.comm)]);
});

test('kdump-mem runs itself again for each of many dumps', () => {
  const { status, stdout } = alone('kdump-mem', ['triage', '--ndjson', fixture('6.1').vmcore]);
  expect(status).toBe(0);
  expect(parseRun(stdout).lines).toMatchObject([{ ok: true }]);
});
