import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { snapshotDueEndSchema, snapshotDueSchema } from '../../../src/contracts/snapshot.js';
import { commandPath, kdumpMem } from '../../support/cli.js';
import { scratchFolder } from '../../support/scratch.js';

const root = scratchFolder('snapshot-when-cli-');

let into = '';
beforeEach(() => {
  into = mkdtempSync(join(root, 'into-'));
});

/** Small snapshots: these tests check when they are taken. */
const QUICK = ['--interval', '0.1', '--tmpfs', '--apart', '1', '--every', '0.1'];
const kept = () => readdirSync(into).filter((name) => name.startsWith('snapshot-'));

/** Runs it until it has printed `words`, then acts, and waits for its exit. */
async function during(words: RegExp, act: (pid: number) => unknown, ...more: string[]) {
  const args = ['snapshot', '--into', into, ...QUICK, ...more];
  const child = spawn(process.execPath, [commandPath('kdump-mem'), ...args]);
  let [out, err] = ['', ''];
  const ended = once(child, 'close');
  await new Promise<void>((resolve) => {
    child.stdout.on('data', (bytes) => {
      out += bytes;
    });
    child.stderr.on('data', (bytes) => {
      err += bytes;
      if (words.test(err)) resolve();
    });
    child.on('close', () => resolve());
  });
  await act(child.pid ?? 0);
  const [status] = await ended;
  return { out, err, status };
}

describe('snapshot --when', () => {
  test('takes a snapshot whenever a condition holds, and keeps the newest', async () => {
    const others = join(into, 'notes.txt');
    writeFileSync(others, 'mine');
    const { stdout, stderr, status } = await kdumpMem(
      'snapshot',
      '--when',
      'available=100%',
      '--into',
      into,
      '--keep',
      '1',
      '--count',
      '2',
      ...QUICK,
      '--json',
    );
    expect(status).toBe(0);
    expect(stderr).toMatch(
      /^kdump-mem: waiting for MemAvailable below [^\n]+\. [^\n]+ newest 1 kept, at least 1 s apart\. oom_score_adj of this process: -?\d+\n$/,
    );
    const lines = stdout.trim().split('\n');
    const [first, second] = lines.slice(0, 2).map((line) => snapshotDueSchema.parse(JSON.parse(line)));
    expect(snapshotDueEndSchema.parse(JSON.parse(lines[2] ?? ''))).toMatchObject({ snapshots: 2, failed: 0 });
    expect(first).toMatchObject({ failed: null, removed: [] });
    const [reason] = first?.reasons ?? [];
    expect(reason?.condition).toBe('available');
    expect(reason?.value).toBeLessThan(reason?.limit ?? 0);
    expect(second?.removed).toEqual([first?.snapshot?.file.slice(into.length + 1)]);
    expect(Date.parse(second?.at ?? '') - Date.parse(first?.at ?? '')).toBeGreaterThanOrEqual(1000);
    expect(kept().map((name) => join(into, name))).toEqual([second?.snapshot?.file]);
    expect(statSync(second?.snapshot?.file ?? '').mode & 0o777).toBe(0o600);
    expect(existsSync(others)).toBe(true);
    const verified = await kdumpMem('snapshot', '--verify', second?.snapshot?.file ?? '');
    expect(verified.status).toBe(0);
  });

  test('exits with status 0 on a signal while it waits', async () => {
    const { out, status } = await during(
      /waiting for/,
      (pid) => process.kill(pid, 'SIGTERM'),
      '--when',
      'available=1k',
    );
    expect([out, status, kept()]).toEqual(['', 0, []]);
  });

  test('exits on a signal during a snapshot, and leaves no partial file', async () => {
    const partial = async (pid: number) => {
      while (!readdirSync(into).some((name) => name.endsWith('.partial')))
        await new Promise((resolve) => setTimeout(resolve, 5));
      process.kill(pid, 'SIGTERM');
    };
    const { status } = await during(/waiting for/, partial, '--when', 'available=100%', '--interval', '2');
    expect([status, readdirSync(into)]).toEqual([0, []]);
  });

  test('keeps the minimum distance after a restart', async () => {
    const now = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
    writeFileSync(join(into, `snapshot-${now}-oom.tar.gz`), '');
    const { out, status } = await during(
      /waiting for/,
      async (pid) => {
        await new Promise((resolve) => setTimeout(resolve, 500));
        process.kill(pid, 'SIGTERM');
      },
      '--when',
      'available=100%',
      '--apart',
      '600',
    );
    expect([out, status, kept().length]).toEqual(['', 0, 1]);
  });

  test('continues after a failed snapshot, and reports that at the end', async () => {
    const { stdout, stderr, status } = await kdumpMem(
      'snapshot',
      '--when',
      'available=100%',
      '--into',
      '/proc',
      '--count',
      '2',
      ...QUICK,
    );
    expect(status).toBe(3);
    expect(stdout.match(/MemAvailable is [^\n]* \(limit /g)).toHaveLength(2);
    expect(stderr.match(/warning: snapshot failed: /g)).toHaveLength(2);
  });
});

test.each([
  [['--when', 'available=5%'], 'no directory given'],
  [['--when', 'available=5%', '--into', ''], 'no directory given'],
  [['--when', 'available=5'], 'Conditions are psi=20'],
  [['--when', 'available=5%', '-o', 'x'], 'cannot be used'],
  [['--keep', '3', '-o', 'x'], '--keep requires --when'],
  [['--into', 'x', '--verify', 'y'], '--into requires --when'],
  [['--when', 'oom', '--into', 'x', '--keep', '0'], 'It must be 1 or more'],
])('%j is a usage error', async (args, words) => {
  const { status, stdout, stderr } = await kdumpMem('snapshot', ...args);
  expect([status, stdout, stderr]).toEqual([2, '', expect.stringContaining(words)]);
});

test('reports a missing folder at once', async () => {
  const folder = join(root, 'none');
  const { status, stderr } = await kdumpMem('snapshot', '--when', 'oom', '--into', folder);
  expect([status, stderr]).toEqual([3, expect.stringContaining('cannot be listed (ENOENT)')]);
});
