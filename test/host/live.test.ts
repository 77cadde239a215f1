import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { liveSnapshot } from '../../src/capture/write/source.js';
import { liveHost } from '../../src/host/live.js';

const dir = mkdtempSync(join(tmpdir(), 'live-'));
afterAll(() => rmSync(dir, { recursive: true }));

test.each(['limits', 'cgroup', 'comm', 'oom_score_adj', 'task/self/comm'])('reads /proc/PID/%s in whole', (name) => {
  const path = `/proc/${process.pid}/${name.replace('self', `${process.pid}`)}`;
  const expected = readFileSync(path, 'utf8');
  expect(liveHost.readText(path)).toBe(expected);
  expect(liveSnapshot.read(path, 1 << 16).bytes.toString('utf8')).toBe(expected);
  // As much as fits, and that it is not all.
  expect(liveSnapshot.read(path, 1)).toMatchObject({ bytes: Buffer.from(expected.slice(0, 1)), cut: true });
});

test.each([0, 1, 65_535, 65_536, 65_537, 300_000])('reads a file of %i bytes in whole', (size) => {
  const path = join(dir, 'file');
  const text = 'é'.repeat(size >> 1).padEnd(size - (size >> 1), 'x');
  writeFileSync(path, text);
  expect(liveHost.readText(path)).toBe(text);
  expect(liveSnapshot.read(path, 1 << 20).bytes.toString('utf8')).toBe(text);
});
