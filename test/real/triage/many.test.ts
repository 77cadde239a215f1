import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DumpTree } from '../../support/dump-tree.js';
import { isRunning, parseRun, TriageRun } from '../../support/triage-run.js';

let tree: DumpTree;
beforeAll(() => {
  tree = new DumpTree({ whole: 14, flattened: 4, cut: 62, damaged: 20, empty: 40, texts: 60 });
});
afterAll(() => {
  tree.dispose();
});

/** Kills this many workers, one after the other. */
async function killWorkers(run: TriageRun, most: number, after: () => number): Promise<void> {
  for (let killed = 0, from = 0; killed < most && run.child.exitCode === null; await delay(5)) {
    const [worker] = run.workers();
    if (worker === undefined || after() <= from) continue;
    from = after();
    if (killsIt(worker)) killed++;
  }
}

/** A stopped worker does not exit on its own meanwhile. */
function killsIt(pid: number): boolean {
  try {
    process.kill(pid, 'SIGSTOP');
    if (!isRunning(pid)) return false;
    process.kill(pid, 'SIGKILL');
    return true;
  } catch {
    return false;
  }
}

test('200 dumps give 200 lines for any killed process, and none is read twice', async () => {
  expect(tree.dumps).toHaveLength(200);
  const output = join(tree.path, 'out.ndjson');
  const words = ['--ndjson', '--output', output, tree.path];
  const linesOf = (file: string): number => {
    try {
      return readFileSync(file, 'utf8').split('\n').length - 1;
    } catch {
      return 0;
    }
  };
  const first = new TriageRun(...words);
  await killWorkers(first, 5, () => linesOf(`${output}.part`));
  // The last killed worker has its line too, before the program itself is killed.
  const killedIn = (file: string) => readFileSync(file, 'utf8').split('"code":"killed"').length - 1;
  while (linesOf(`${output}.part`) < 120 || killedIn(`${output}.part`) < 5) await delay(5);
  const workers = first.workers();
  first.child.kill('SIGKILL');
  await first.ended;
  for (const pid of workers) while (isRunning(pid)) await delay(10);
  const done = readFileSync(`${output}.part`, 'utf8').split('\n').slice(0, -1);

  const second = new TriageRun(...words);
  expect(await second.ended).toEqual({ status: 3, signal: null });
  const text = readFileSync(output, 'utf8');
  const { lines, end } = parseRun(text);
  expect(lines.map(({ dump }) => dump)).toEqual(tree.dumps);
  expect(end).toMatchObject({ dumps: 200, resumed: done.length });
  for (const line of done) expect(text).toContain(`${line}\n`);
  const killed = lines.filter(({ error }) => error?.code === 'killed');
  expect(killed).toHaveLength(5);
  expect(new Set(killed.map(({ error }) => error?.signal))).toEqual(new Set(['SIGKILL']));
  for (const { dump, ok, error } of lines)
    if (!killed.some((one) => one.dump === dump)) {
      if (/whole|flattened/.test(dump)) expect([dump, ok]).toEqual([dump, true]);
      if (/empty|text/.test(dump)) expect([dump, ok]).toEqual([dump, false]);
      expect(error?.code).not.toBe('worker-failed');
    }
});
