import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bound } from '../queues.js';
import { Stage, until } from '../stage.js';
import { judgements, watched } from '../watched.js';

// Override for a longer run: SKCHECK_TRAFFIC_SECONDS=600.
const SECONDS = Number(process.env.SKCHECK_TRAFFIC_SECONDS ?? 90);
const INTERVAL = 2;
const FIRST_PORT = 25_201;

/** At full speed with four streams, in reverse, at a fixed rate, in small writes; and datagrams. */
const TRAFFIC = [
  ['--parallel', '4'],
  ['--reverse'],
  ['--bitrate', '20M'],
  ['--length', '200', '--no-delay', '--bitrate', '10M'],
  ['--udp', '--bitrate', '2M', '--length', '1000'],
];

const stage = new Stage();
const dir = mkdtempSync(join(tmpdir(), 'skcheck-'));
const started: ChildProcess[] = [];
afterAll(() => {
  for (const each of started) each.kill('SIGKILL');
  stage.end();
  rmSync(dir, { recursive: true });
});

const pids: number[] = [];

function iperf3(...args: string[]): void {
  const child = spawn('iperf3', args, { stdio: 'ignore' });
  if (child.pid === undefined) throw new Error('iperf3 did not start: scripts/test installs it');
  started.push(child);
  pids.push(child.pid);
}

beforeAll(async () => {
  expect(spawnSync('iperf3', ['--version']).status, 'iperf3 is needed').toBe(0);
  for (const [index, options] of TRAFFIC.entries()) {
    const port = FIRST_PORT + index;
    iperf3('--server', '--port', `${port}`);
    await until(() => bound('-t', port) !== undefined);
    iperf3('--client', '127.0.0.1', '--port', `${port}`, '--time', `${4 * SECONDS + 60}`, ...options);
  }
  const unix = await stage.pair({ reads: 'healthy', path: join(dir, 'load.sock') });
  pids.push(unix.server.pid, unix.client.pid);
});

test("healthy connections under iperf3's traffic are never flagged", async () => {
  const samples = Math.ceil(SECONDS / INTERVAL) + 1;
  const args = ['--watch', '--samples', `${samples}`, '--interval', `${INTERVAL}`];
  const { stdout } = await watched(args);
  const { looks, seen, flagged } = judgements(stdout, pids);
  // A busy machine drops datagrams for lack of space, and that is a correct verdict.
  const wrong = flagged.filter(({ stalled }) => stalled.verdict !== 'udp-dropping');
  console.log(
    `under traffic for ${SECONDS} s: ${looks} looks, data seen on its way ${seen} times, ${wrong.length} flagged`,
  );
  expect(wrong).toEqual([]);
  expect(looks).toBe(samples - 1);
  expect(seen).toBeGreaterThan(looks);
  // The traffic ran all the time.
  for (const each of started) expect(each.exitCode).toBeNull();
  const [server] = started;
  server?.kill();
  if (server) await once(server, 'exit');
});
