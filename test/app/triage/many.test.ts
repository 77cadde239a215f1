import { spawn } from 'node:child_process';
import { appendFileSync, mkdirSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { progressWords } from '../../../src/app/triage/many.js';
import { commandPath, kdumpMem } from '../../support/cli.js';
import { DumpTree } from '../../support/dump-tree.js';
import { fixture } from '../../support/fixtures.js';
import { isRunning, parseRun, TriageRun, withoutSeconds } from '../../support/triage-run.js';

let tree: DumpTree;
beforeAll(() => {
  tree = new DumpTree({ whole: 2, flattened: 1, cut: 2, damaged: 1, empty: 1, texts: 1 });
});
afterAll(() => {
  tree.dispose();
});

const ndjson = (...words: readonly string[]) => kdumpMem('triage', '--ndjson', ...words);

test('prints a line for each dump in order, identical in two runs except for seconds', async () => {
  const first = await ndjson(tree.path);
  const { lines, end } = parseRun(first.stdout);
  expect(lines.map(({ dump }) => dump)).toEqual(tree.dumps);
  expect(first.stderr).toBe('');
  expect(first.status).toBe(3);
  const readable = lines.filter(({ ok }) => ok).map(({ dump }) => dump);
  expect(readable).toEqual(expect.arrayContaining(tree.dumps.filter((dump) => /whole|flat/.test(dump))));
  for (const { dump, ok, error, findings } of lines) {
    expect(error === null).toBe(ok);
    expect(findings === null).toBe(!ok);
    if (/text|empty|cut/.test(dump)) expect(ok).toBe(false);
  }
  expect(end).toMatchObject({
    dumps: 8,
    read: readable.length,
    failed: 8 - readable.length,
    resumed: 0,
    kept: 0,
    skipped: { files: 1, links: 1, special: 0 },
    unlisted: [],
    shard: null,
  });
  const again = await ndjson(tree.path, '--jobs', '3');
  expect(withoutSeconds(again.stdout)).toBe(withoutSeconds(first.stdout));
});

test('a line reports the same as the dump alone', async () => {
  const { vmcore, truth } = fixture('6.1');
  const [{ stdout }, alone] = await Promise.all([ndjson(vmcore), kdumpMem('triage', '--json', vmcore)]);
  const [line] = parseRun(stdout).lines;
  const answer = JSON.parse(alone.stdout);
  const { size } = statSync(vmcore);
  expect(line).toMatchObject({ dump: vmcore, parts: 1, size, ok: true, release: truth.release });
  for (const part of ['findings', 'panic', 'nodename', 'complete', 'warnings'] as const)
    expect(line?.[part]).toEqual(answer[part]);
  // The largest group of `sockets --by process`.
  expect(line?.topOwner).toMatchObject({ kind: 'process', of: 'sockets' });
  const sockets = await kdumpMem('sockets', '--by', 'process', '--json', vmcore);
  const [top] = JSON.parse(sockets.stdout).groups;
  expect(`${line?.topOwner?.pid} ${line?.topOwner?.name}`).toBe(top.key);
  expect(line?.topOwner?.bytes).toBe(top.total.pinnedBytes);
  const cgroups = await kdumpMem('sockets', '--by', 'cgroup', '--json', vmcore);
  const group = JSON.parse(cgroups.stdout).groups.find(({ key }: { key: string }) => key === '/');
  expect(line?.cgroups).toContainEqual({
    cgroup: '/',
    pod: null,
    container: null,
    sockets: group.sockets,
    pinnedBytes: group.total.pinnedBytes,
  });
});

test('prints a table for more than one dump, and groups equal problems', async () => {
  const folders = ['whole-000', 'empty-000'].map((name) => join(tree.path, name));
  const table = await kdumpMem('triage', ...folders);
  expect(table.status).toBe(3);
  expect(table.stdout).toMatch(/^2 dumps in \S+: 1 read, 1 unreadable$/m);
  expect(table.stdout).toMatch(/^empty-000\/vmcore .* unreadable: truncated/m);
  expect(table.stdout).toMatch(/^whole-000\/vmcore.* \* no findings /m);
  const similar = await kdumpMem('triage', '--similar', folders[0]!);
  expect(similar.stdout).toMatch(/^1 dump, 0 distinct problems\n/);
  // A folder with one dump is treated as that dump.
  const [alone, file] = await Promise.all([
    kdumpMem('triage', '--json', folders[0]!),
    kdumpMem('triage', '--json', join(folders[0]!, 'vmcore')),
  ]);
  expect(alone.stdout).toBe(file.stdout);
});

test('a folder with one dump and an unreadable folder is not treated as that dump', async () => {
  const odd = new DumpTree({ whole: 1 });
  // node decodes this folder name to a name that no file has.
  mkdirSync(Buffer.concat([Buffer.from(`${odd.path}/lost-`), Buffer.of(0xff)]));
  const { stdout, status } = await kdumpMem('triage', odd.path);
  expect(stdout).toMatch(/^1 dump in /);
  expect(stdout).toMatch(/Not searched: .*lost-/);
  expect(status).toBe(3);
  odd.dispose();
});

test('triages dumps elsewhere after its working directory was removed', async () => {
  const gone = join(tree.path, 'gone');
  mkdirSync(gone);
  const from = [join(tree.path, 'whole-000'), 'here'].flatMap((path) => ['--vmcore', path]);
  const words = ['triage', '--ndjson', ...from];
  const script = 'cd "$1" && rmdir "$1" && shift && exec "$@"';
  const command = [process.execPath, commandPath('kdump-mem'), ...words];
  const { stdout } = await execa('sh', ['-c', script, '-', gone, ...command], { reject: false });
  const [found, lost] = parseRun(stdout).lines;
  expect(found).toMatchObject({ ok: true, error: null });
  expect(lost?.error).toMatchObject({ code: 'no-such-file' });
});

test('a team’s own rules apply to each dump', async () => {
  const rule = { code: 'acme/old', severity: 'warning', when: { release: '*' }, message: 'Old.' };
  const rules = tree.write('rules.json', JSON.stringify({ schema: 'kdump-mem.rules/1', rules: [rule] }));
  const { stdout } = await ndjson('--rules', rules, tree.path);
  for (const { ok, findings } of parseRun(stdout).lines)
    if (ok) expect(findings?.map(({ code }) => code)).toContain('acme/old');
  // Lines that were made without the rules do not show that the rules find nothing.
  const whole = tree.dumps.find((dump) => dump.includes('whole'))!;
  const earlier = tree.write('earlier.ndjson', (await ndjson(whole)).stdout);
  const resumeArgs = ['--resume', earlier, '--fail-on', 'acme/old', '--rules', rules, whole];
  const again = await ndjson(...resumeArgs);
  expect(again.status).toBe(1);
  expect(parseRun(again.stdout)).toMatchObject({
    lines: [{ rules: { rules: 1, matched: 1, silenced: [] } }],
    end: { severe: 1, resumed: 0 },
  });
  rmSync(earlier);
  tree.write('rules.json', '{"rules":[{}]}');
  const wrong = await ndjson('--rules', rules, tree.path);
  expect(wrong).toMatchObject({ status: 2, stdout: '' });
  rmSync(rules);
});

test('a killed worker and one that exceeds its time have their lines', async () => {
  const words = ['whole-000', 'whole-001'].map((name) => join(tree.path, name, 'vmcore'));
  const run = new TriageRun('--ndjson', '--jobs', '2', '--timeout', '5', ...words);
  const signal = async (part: string, name: NodeJS.Signals) => {
    const worker = (await run.workerOn(part))!;
    process.kill(worker, name);
    return worker;
  };
  // A stopped worker never finishes.
  const [, stopped] = await Promise.all([signal('whole-000', 'SIGKILL'), signal('whole-001', 'SIGSTOP')]);
  expect(await run.ended).toMatchObject({ status: 3 });
  const { lines, end } = parseRun(run.stdout);
  expect(lines.map(({ error }) => error?.code)).toEqual(['killed', 'timed-out']);
  expect(lines.map(({ error }) => error?.signal)).toEqual(['SIGKILL', 'SIGKILL']);
  expect(end).toMatchObject({ dumps: 2, read: 0, failed: 2 });
  expect(isRunning(stopped)).toBe(false);
});

test('time during which the whole run was stopped does not count for a dump', async () => {
  const run = new TriageRun('--ndjson', '--timeout', '3', fixture('6.1').vmcore);
  const worker = await run.workerOn('6.1');
  run.child.kill('SIGSTOP');
  await Promise.all([gone(worker!), delay(4500)]);
  run.child.kill('SIGCONT');
  await run.ended;
  expect(parseRun(run.stdout).lines).toMatchObject([{ ok: true, error: null }]);
});

test('a worker that exceeds its memory is killed, and its line reports that', async () => {
  const { vmcore } = fixture('newest');
  const preload = join(tree.path, 'greedy.cjs');
  // It stops, so that it does not finish before the check.
  tree.write(
    'greedy.cjs',
    `if (process.argv.includes('--as-worker')) {
       globalThis.kept = Buffer.alloc(300 << 20, 1);
       process.kill(process.pid, 'SIGSTOP');
     }`,
  );
  const before = process.env.NODE_OPTIONS;
  process.env.NODE_OPTIONS = `--require ${preload}`;
  try {
    const run = new TriageRun('--ndjson', '--worker-memory', '200M', vmcore);
    await run.ended;
    const [line] = parseRun(run.stdout).lines;
    expect(line?.error).toMatchObject({ code: 'out-of-memory', signal: 'SIGKILL' });
  } finally {
    if (before === undefined) delete process.env.NODE_OPTIONS;
    else process.env.NODE_OPTIONS = before;
    rmSync(preload);
  }
});

test('a worker exits with its parent', async () => {
  const words = ['triage', '--as-worker', '--vmcore', fixture('newest').vmcore];
  const worker = spawn(process.execPath, [commandPath('kdump-mem'), ...words], { stdio: ['pipe', 'ignore', 'ignore'] });
  worker.stdin.destroy();
  const signal = await new Promise((resolve) => worker.once('exit', (_, how) => resolve(how)));
  expect(signal).toBe('SIGKILL');
});

test('a signal to the main process ends all its workers', async () => {
  const run = new TriageRun('--ndjson', '--jobs', '2', tree.path);
  const worker = await run.workerOn('whole');
  process.kill(worker!, 'SIGSTOP');
  run.child.kill('SIGINT');
  expect(await run.ended).toMatchObject({ signal: 'SIGINT' });
  await gone(worker!);
});

async function gone(pid: number): Promise<void> {
  while (isRunning(pid)) await delay(10);
}

test('a killed run continues, and reads only the missing dumps', async () => {
  const output = join(tree.path, 'out.ndjson');
  const killed = new TriageRun('--ndjson', '--jobs', '1', '--output', output, tree.path);
  // It has started on a valid dump, which is among the last.
  await killed.workerOn('whole-001');
  killed.child.kill('SIGKILL');
  await killed.ended;
  const part = readFileSync(`${output}.part`, 'utf8');
  const done = part.split('\n').length - 1;
  expect(done).toBeGreaterThan(4);
  appendFileSync(`${output}.part`, '{"schema":"kdump-mem.triage-line/1","dump":"/torn');

  const second = await ndjson('--output', output, tree.path);
  expect(second.stdout).toBe('');
  const text = readFileSync(output, 'utf8');
  const { lines, end } = parseRun(text);
  // Its own output is in the folder, and is not a dump.
  expect(lines.map(({ dump }) => dump)).toEqual(tree.dumps);
  expect(end.resumed).toBe(done);
  for (const line of part.trimEnd().split('\n')) expect(text).toContain(`${line}\n`);

  // Unchanged dumps are not read again; a changed one is, alone.
  utimesSync(tree.dumps.at(-1)!, 1, 1);
  const third = await ndjson('--output', output, tree.path);
  expect(third.status).toBe(3);
  expect(parseRun(readFileSync(output, 'utf8')).end).toMatchObject({ dumps: 8, resumed: 7 });

  // A run on fewer dumps keeps the other lines; a run to stdout reuses lines.
  await ndjson('--output', output, '--retry', tree.dumps[0]!);
  const kept = parseRun(readFileSync(output, 'utf8'));
  expect(kept.end).toMatchObject({ dumps: 8, resumed: 0, kept: 7 });
  const { stdout } = await ndjson('--resume', output, tree.path);
  expect(parseRun(stdout).end).toMatchObject({ dumps: 8, resumed: 8, kept: 0 });
  rmSync(output);
});

test('shards contain each dump once', async () => {
  const shards = await Promise.all([ndjson('--shard', '0/2', tree.path), ndjson('--shard', '1/2', tree.path)]);
  const runs = shards.map(({ stdout }) => parseRun(stdout));
  const all = runs.flatMap(({ lines }) => lines.map(({ dump }) => dump));
  expect(all.toSorted()).toEqual(tree.dumps);
  for (const { lines, end } of runs) expect(lines.length + end.otherShards).toBe(8);
});

test('never overwrites a file of another kind', async () => {
  const output = tree.dumps.find((dump) => dump.includes('whole'))!;
  const before = readFileSync(output);
  const { status, stderr } = await ndjson('--output', output, tree.path);
  expect(stderr).toMatch(/is not output of triage --ndjson/);
  expect(status).toBe(2);
  expect(readFileSync(output).equals(before)).toBe(true);
});

test.each<[string[], number]>([
  [['--fail-on', 'note', 'whole-000'], 0],
  [['--fail-on', 'note', 'whole-000', 'empty-000'], 3],
  [['--strict', 'whole-000'], 5],
  [['--strict', 'whole-000', 'empty-000'], 3],
  [['whole-000'], 0],
])('%j exits with %i', async (words, expected) => {
  const paths = words.map((word) => (/-0/.test(word) ? join(tree.path, word) : word));
  expect((await ndjson(...paths)).status).toBe(expected);
});

test('--fail-on exits with 1 if one dump has such a finding, whatever else fails', async () => {
  const [whole, empty] = ['whole-000', 'empty-000'].map((name) => join(tree.path, name, 'vmcore'));
  const { lines } = parseRun((await ndjson(whole!)).stdout);
  const finding = { code: 'panic', severity: 'warning', words: '', figures: {}, evidence: [] };
  const grave = { ...lines[0], findings: [{ ...finding, next: null }] };
  const earlier = tree.write('earlier.ndjson', `${JSON.stringify(grave)}\n`);
  const least = async (severity: string) => {
    const ran = await ndjson('--resume', earlier, '--fail-on', severity, whole!, empty!);
    return [ran.status, parseRun(ran.stdout).end.severe];
  };
  expect(await least('critical')).toEqual([3, 0]);
  expect(await least('warning')).toEqual([1, 1]);
  expect(await least('note')).toEqual([1, 1]);
  expect(await least('panic')).toEqual([1, 1]);
  expect(await least('oom-kill,critical')).toEqual([3, 0]);
  rmSync(earlier);
});

test.each([
  [['--ndjson', '--json'], /cannot be combined with --json/],
  [['--ndjson', '--live'], /--live and \S+ cannot be combined|cannot be combined with --live/],
  [['--ndjson', '--symbols', 'x'], /cannot be combined with --symbols/],
  [['--ndjson', '--engine', 'crash'], /omit --engine/],
  [['--ndjson', '--retry'], /--retry needs/],
  [['--output', 'x'], /--output needs --ndjson/],
  [['--jobs', '2', '--verbose'], /--jobs cannot be combined with --verbose/],
  [['--worker-memory', '1G', '--json'], /cannot be combined with --json/],
  [['--ndjson', '--similar'], /--similar cannot be combined/],
  [['--ndjson', '--jobs', '0'], /from 1 to/],
  [['--ndjson', '--worker-memory', '1M'], /at least 128M/],
  [['--ndjson', '--shard', '2/2'], /counts from 0/],
  [['--ndjson', '--output', ''], /empty file name/],
  [['--symbols-dir', '/nowhere'], /\/nowhere is not a folder/],
])('%j is a usage error', async (words, why) => {
  const { status, stderr } = await kdumpMem('triage', ...words, tree.dumps[0]!);
  expect(stderr).toMatch(why);
  expect(status).toBe(2);
});

test('a folder without dumps prints only an end line', async () => {
  const empty = new DumpTree({ whole: 1 });
  rmSync(empty.dumps[0]!);
  rmSync(join(dirname(empty.dumps[0]!), 'vmcore-dmesg.txt'));
  const { stdout, status } = await ndjson(empty.path);
  expect(parseRun(stdout)).toMatchObject({ lines: [], end: { dumps: 0, read: 0, failed: 0 } });
  expect(status).toBe(0);
  empty.dispose();
});

test('progress reports the remaining time', () => {
  expect(progressWords(200, 0, 0, 0, 5)).toBe('0 of 200 dumps');
  expect(progressWords(200, 100, 10, 2, 30)).toBe('110 of 200 dumps, 2 unreadable, about 5 min left');
  expect(progressWords(3, 0, 2, 0, 3)).toBe('2 of 3 dumps, about 2 s left');
});
