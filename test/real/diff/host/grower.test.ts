import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type DiffJson, diffSchema } from '../../../../src/contracts/diff.js';
import { commandPath, kdumpMem } from '../../../support/cli.js';
import { until } from '../../skcheck/stage.js';

const MIB = 1 << 20;
const GROWS = 256 * MIB;
/** More than a socket queue can hold. */
const WRITTEN = 16 * MIB;
/**
 * A JavaScript program varies by itself, and its PSS changes when another process that maps the
 * same files starts or exits.
 */
const DRIFT = 40 * MIB;

const folder = mkdtempSync(join(tmpdir(), 'kdump-mem-diff-'));
const file = (name: string) => join(folder, name);
let grower: ChildProcess;
let lines: AsyncIterator<string>;
let port = 0;

/** PSS from the kernel, read here. */
function pssOf(pid: number | undefined): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1]) * 1024;
}

/** Queued bytes of the accepted connection: rx_queue of /proc/net/tcp. */
function waiting(): number {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  const [row] = rows.filter(([, own, , state]) => own === local && state === '01');
  return Number.parseInt(row?.[4]?.split(':')[1] ?? '', 16);
}

async function programState(): Promise<Record<string, number>> {
  return JSON.parse((await lines.next()).value);
}

async function keep(name: string): Promise<void> {
  await execa(process.execPath, [commandPath('skcheck'), '--capture', file(`${name}.tar.gz`), '--interval', '0.5']);
  const answers = [
    await kdumpMem('memory', '--live', '--source', 'counters', '--json'),
    await kdumpMem('procs', '--live', '--json'),
  ];
  writeFileSync(file(`${name}.json`), answers.map(({ stdout }) => stdout).join(''));
}

const diffs = new Map<string, DiffJson>();

async function differ(...names: readonly string[]): Promise<DiffJson> {
  const known = diffs.get(names.join(' '));
  if (known) return known;
  const { stdout, stderr, status } = await kdumpMem('diff', '--json', ...names.map(file));
  expect([stderr, status]).toEqual(['', 0]);
  const found = diffSchema.parse(JSON.parse(stdout));
  diffs.set(names.join(' '), found);
  return found;
}

/** Anonymous memory in an input, in bytes; other programs of the machine have some too. */
async function anonymousOf(name: string): Promise<number> {
  const text = name.endsWith('.json')
    ? readFileSync(file(name), 'utf8')
    : (await kdumpMem('memory', '--json', '--from', file(name))).stdout;
  return Number(/"category": "anonymous",\s+"bytes": (\d+)/.exec(text)?.[1]);
}

const before = { pss: 0, started: 0 };
const after = { pss: 0, waiting: 0 };

beforeAll(async () => {
  const script = fileURLToPath(new URL('grower.mjs', import.meta.url));
  grower = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
  if (!grower.stdout) throw new Error('it has a stdout');
  lines = createInterface({ input: grower.stdout })[Symbol.asyncIterator]();
  port = (await programState()).port ?? 0;
  before.pss = pssOf(grower.pid);
  // Fields behind the name, which ends with the last parenthesis: the 20th is starttime (proc(5)).
  const stat = readFileSync(`/proc/${grower.pid}/stat`, 'utf8');
  before.started = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
  await keep('a');
  grower.stdin?.write(`${GROWS} ${WRITTEN}\n`);
  await programState();
  await until(() => waiting() > 64 * 1024);
  after.pss = pssOf(grower.pid);
  after.waiting = waiting();
  await keep('b');
  grower.kill('SIGKILL');
  await once(grower, 'exit');
  await keep('c');
});

afterAll(() => {
  grower?.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

const of = (diff: DiffJson) => diff.processes?.items.find(({ pid }) => pid === grower.pid);
const categoryOf = ({ categories }: DiffJson, name: string) =>
  categories?.children.flatMap(({ children }) => children).find(({ category }) => category === name);

test('the oracle confirms the growth', () => {
  expect(after.pss - before.pss).toBeGreaterThan(GROWS - DRIFT);
});

describe.each([
  ['captures', '.tar.gz'],
  ['answers', '.json'],
])('diff of %s', (_, suffix) => {
  test('names the growing process, with its growth and rate', async () => {
    const diff = await differ(`a${suffix}`, `b${suffix}`);
    expect(diff.sameBoot).toBe(true);
    const found = of(diff);
    expect(found).toMatchObject({ measure: 'pss', status: 'both' });
    expect(Math.abs((found?.changeBytes ?? 0) - (after.pss - before.pss))).toBeLessThan(DRIFT);
    const minutes = (diff.seconds ?? 0) / 60;
    expect(found?.perMinuteBytes).toBeCloseTo((found?.changeBytes ?? 0) / minutes, 0);
    // Processes listed before it changed by more.
    const items = diff.processes?.items ?? [];
    for (const { changeBytes } of items.slice(
      0,
      items.findIndex(({ pid }) => pid === grower.pid),
    ))
      expect(Math.abs(changeBytes ?? 0)).toBeGreaterThanOrEqual(found?.changeBytes ?? 0);
    expect(found?.startTicks).toBe(before.started);
  });

  test('attributes the growth to its category, and sums match to the byte', async () => {
    const diff = await differ(`a${suffix}`, `b${suffix}`);
    const [first, last] = [await anonymousOf(`a${suffix}`), await anonymousOf(`b${suffix}`)];
    expect(categoryOf(diff, 'anonymous')).toMatchObject({ beforeBytes: first, afterBytes: last });
    expect(categoryOf(diff, 'anonymous')?.changeBytes).toBe(last - first);
    const { categories, loss } = diff;
    for (const category of [categories, ...(categories?.children ?? [])])
      expect(category?.children.reduce((sum, { changeBytes }) => sum + (changeBytes ?? Number.NaN), 0)).toBe(
        category?.changeBytes,
      );
    expect((loss?.lostBytes ?? 0) + (loss?.pluggedBytes ?? 0)).toBe(
      (loss?.grewBytes ?? 0) + (loss?.shrankBytes ?? 0) + (loss?.unattributedBytes ?? 0),
    );
  });

  test('reports a killed process as gone, with the memory that it freed', async () => {
    const diff = await differ(`b${suffix}`, `c${suffix}`);
    const found = of(diff);
    expect(found).toMatchObject({ status: 'gone', afterBytes: 0 });
    expect(Math.abs((found?.changeBytes ?? 0) + after.pss)).toBeLessThan(DRIFT);
  });

  test('sorts inputs by time, and counts the middle one of three', async () => {
    const diff = await differ(...['c', 'b', 'a'].map((name) => `${name}${suffix}`));
    expect(diff.warnings.map(({ code }) => code)).toContain('reordered');
    expect(diff.inputs.map(({ name }) => name)).toEqual(['a', 'b', 'c'].map((name) => file(`${name}${suffix}`)));
    expect(of(diff)?.bytes).toEqual([
      of(await differ(`a${suffix}`, `b${suffix}`))?.beforeBytes,
      of(await differ(`b${suffix}`, `c${suffix}`))?.beforeBytes,
      0,
    ]);
  });
});

test('names the socket with queued data, and the process that does not read it', async () => {
  const { sockets } = await differ('a.tar.gz', 'b.tar.gz');
  const found = sockets?.items.find(({ local }) => local === `127.0.0.1:${port}`);
  expect(found).toMatchObject({ measure: 'estimated', status: 'was-empty', beforeBytes: 0 });
  expect(found?.holder?.pid).toBe(grower.pid);
  expect(found?.changeBytes).toBeGreaterThanOrEqual(after.waiting);
});

test('skcheck answers contain the kernel’s boot id', async () => {
  const { stdout } = await execa(process.execPath, [commandPath('skcheck'), '--from', file('a.tar.gz'), '--json'], {
    reject: false,
  });
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  expect(JSON.parse(stdout).host).toMatchObject({ bootId: boot });
  const { inputs } = await differ('a.json', 'b.tar.gz');
  expect(inputs.map(({ bootId }) => bootId)).toEqual([boot, boot]);
});

test('compares an answer and a capture of one boot', async () => {
  const diff = await differ('a.json', 'b.tar.gz');
  expect(diff.sameBoot).toBe(true);
  expect(Math.abs((of(diff)?.changeBytes ?? 0) - (after.pss - before.pss))).toBeLessThan(DRIFT);
});

test('refuses a file given twice, and a file of another format', async () => {
  const twice = await kdumpMem('diff', file('a.json'), file('a.json'));
  expect(twice).toMatchObject({ status: 2, stdout: '' });
  expect(twice.stderr).toContain('is given twice: nothing to compare');
  writeFileSync(file('none.json'), '{"schema":"kdump-mem.info/1"}');
  const none = await kdumpMem('diff', file('a.json'), file('none.json'));
  expect(none).toMatchObject({ status: 3, stdout: '' });
  expect(none.stderr).toMatch(/^kdump-mem: .*none\.json: unsupported answer kdump-mem\.info\/1\. .*\n$/);
});
