import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { diffSchema } from '../../../../src/contracts/diff.js';
import { type CategoryJson, type MemoryJson, memorySchema } from '../../../../src/contracts/memory.js';
import { commandPath, kdumpMem, kdumpMemJson } from '../../../support/cli.js';
import { expectTruth, KERNELS, type Kernel, MIB, meminfoOf, pagesOf } from '../../../support/counter-tables.js';
import { scratchFolder } from '../../../support/scratch.js';

const folder = scratchFolder('old-kernels-');
/** The lab has no guest of these kernels. */
const OLD = KERNELS.filter(({ release }) => /^(?:3\.10|4\.4|4\.15|4\.18\.0-240)/.test(release));

let made = 0;
/** A folder with files of /proc as a kernel prints them. */
function tree({ release }: Kernel, files: Readonly<Record<string, string>>): string {
  const path = join(folder, `${++made}`);
  const all = { ...files, 'sys/kernel/osrelease': `${release}\n`, version: `Linux version ${release} (x) x86_64\n` };
  for (const [name, text] of Object.entries(all)) {
    mkdirSync(join(path, 'proc', name, '..'), { recursive: true });
    writeFileSync(join(path, 'proc', name), text);
  }
  return path;
}

/** Another 1 GiB of anonymous memory. */
const grown = (text: string) =>
  text
    .replace(/^(MemFree: +)(\d+)/m, (_, name, kib) => name + (Number(kib) - 1024 * MIB))
    .replace(/^(AnonPages: +)(\d+)/m, (_, name, kib) => name + (Number(kib) + 1024 * MIB))
    .replace(/( pages free +|nr_free_pages +)(\d+)/g, (_, name, pages) => name + (Number(pages) - 256 * MIB));
const laterPages = (kernel: Kernel) => {
  const { zoneinfo, vmstat } = pagesOf(kernel, 0);
  return { zoneinfo: grown(zoneinfo), vmstat: grown(vmstat) };
};

/** Runs a command where /proc has these files, and none that would contradict them. */
function live(path: string, ...args: readonly string[]) {
  const files = ['meminfo', 'zoneinfo', 'vmstat', 'sys/kernel/osrelease'];
  const script = [
    ...files.map((name) => `mount --bind ${path}/proc/${name} /proc/${name}`),
    ...['buddyinfo', 'slabinfo', 'vmallocinfo'].map(
      (name) => `[ ! -e /proc/$0 ] || mount --bind /dev/null /proc/${name}`,
    ),
    'exec "$@"',
  ];
  const words = ['--mount', 'sh', '-c', script.join(' && '), 'meminfo', process.execPath, commandPath('kdump-mem')];
  return spawnSync('unshare', [...words, ...args], { encoding: 'utf8', maxBuffer: 2 ** 26 });
}

const rowsOf = ({ children, ...row }: CategoryJson): Omit<CategoryJson, 'children'>[] =>
  children.length === 0 ? [row] : children.flatMap(rowsOf);

function answerOf(text: string): { readonly answer: MemoryJson; readonly rows: ReadonlyMap<string, CategoryJson> } {
  const answer = memorySchema.parse(JSON.parse(text));
  return { answer, rows: new Map(rowsOf(answer.memory).map((row) => [row.category, { ...row, children: [] }])) };
}

describe.each(OLD.map((kernel) => [kernel.release, kernel] as const))('counters of %s', (release, kernel) => {
  const meminfo = meminfoOf(kernel).join('');
  const now = tree(kernel, { meminfo, ...pagesOf(kernel, 0) });
  const later = tree(kernel, { meminfo: grown(meminfo), ...laterPages(kernel) });

  test.each([0, 900, -900])('read live, and zones %i MiB of changes later', (moved) => {
    const path = tree(kernel, { meminfo, ...pagesOf(kernel, moved * MIB) });
    const { stdout, stderr, status } = live(path, 'memory', '--live', '--source', 'counters', '--json');
    expect([stderr, status]).toEqual(['', 0]);
    const { answer, rows } = answerOf(stdout);
    expect(answer).toMatchObject({ source: 'counters', host: { release } });
    expectTruth(kernel, [...rows.values()], answer.memory.bytes);
    // A counter that this kernel lacks is no contradiction, and no zero.
    expect(answer.warnings.filter(({ code }) => code === 'corrupt')).toEqual([]);
    expect(rows.get('vmalloc')?.counterBytes ?? null).toBeNull();
    const lacksPercpu = !kernel.lines.includes('Percpu');
    expect(rows.get('percpu')?.counterBytes === null || !rows.has('percpu')).toBe(lacksPercpu);
  });

  test('says live what it says of a copy', async () => {
    const { answer } = answerOf(live(now, 'memory', '--live', '--source', 'counters', '--json').stdout);
    const copied = await kdumpMemJson(memorySchema, 'memory', '--from', now);
    // A copy has no descriptors, and so no bound of pipes.
    const figures = ({ memory }: MemoryJson) =>
      rowsOf(memory)
        .filter(({ category }) => category !== 'pipes')
        .map(({ category, bytes, range }) => ({ category, bytes, range }));
    expect(figures(answer)).toEqual(figures(copied));
    const text = live(now, 'memory', '--live', '--source', 'counters', '-v').stdout;
    expect(text).toMatch(/^Incomplete: .*“vmalloc”.* \(not counted by this kernel/m);
  });

  test('diff of two copies, and of two answers, reports the growth alone', async () => {
    const saved = [now, later].map((path) => {
      writeFileSync(`${path}.json`, live(path, 'memory', '--live', '--source', 'counters', '--json').stdout);
      return `${path}.json`;
    });
    for (const inputs of [[now, later], saved]) {
      const { loss } = await kdumpMemJson(diffSchema, 'diff', ...inputs);
      expect(loss).toMatchObject({
        lostBytes: 2 ** 30,
        grewBytes: 2 ** 30,
        unattributedBytes: 0,
        explanation: 'categories',
      });
      const { stdout } = await kdumpMem('diff', ...inputs);
      expect(stdout).toContain('Largest increase: anonymous +1.00 GiB');
    }
  });

  test('diff with a copy whose meminfo is cut off takes no missing line for zero', async () => {
    const lines = meminfoOf(kernel);
    const cut = tree(kernel, { meminfo: grown(lines.slice(0, 22).join('')), ...laterPages(kernel) });
    const { loss, warnings } = await kdumpMemJson(diffSchema, 'diff', now, cut);
    expect(loss).toMatchObject({ grewBytes: 2 ** 30, shrankBytes: 0 });
    expect(warnings.map(({ code }) => code)).toContain('change-unknown');
  });
});
