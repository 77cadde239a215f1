import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { endUnanswered } from '../../src/cli/snapshot-take.js';
import { liveSnapshot } from '../../src/snapshot/source.js';

const folder = mkdtempSync(join(tmpdir(), 'unanswered-'));
afterAll(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

test('a read without an answer does not keep the program from its end', async () => {
  const kill = vi.spyOn(process, 'kill').mockReturnValue(true);
  const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const file = join(folder, 'file');
  writeFileSync(file, 'x');
  await liveSnapshot.readSlow(file, 10);
  await endUnanswered(1);
  expect(kill).not.toHaveBeenCalled();
  // Nobody writes into it yet: whoever opens it waits.
  const fifo = join(folder, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const answer = liveSnapshot.readSlow(fifo, 10);
  await endUnanswered(1);
  expect(kill.mock.calls).toEqual([[process.pid, 'SIGKILL']]);
  expect(said.mock.calls.join('')).toContain('has not answered 1 read');
  writeFileSync(fifo, 'late');
  expect((await answer).bytes.toString()).toBe('late');
  await endUnanswered(1);
  expect(kill).toHaveBeenCalledTimes(1);
});
