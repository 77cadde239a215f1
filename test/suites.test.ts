import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { missing, PROGRAMS } from '../scripts/test-parts/programs.mjs';
import { latestRuns, record, sources } from '../scripts/test-parts/runs.mjs';
import { SUITES } from '../scripts/test-parts/suites.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'suites-'));
afterAll(() => rmSync(folder, { recursive: true }));

const run = (...args: string[]) => execFileSync(`${ROOT}scripts/test`, args, { encoding: 'utf8' });

describe('the table of suites', () => {
  test('is the table of CONTRIBUTING', () => {
    const rows = readFileSync(`${ROOT}CONTRIBUTING.md`, 'utf8').matchAll(/^\| `scripts\/test ([\w-]+)`(.*)\|$/gm);
    const listed = [...rows].map(([, name, rest]) => ({ name, rest: rest?.split('|').map((cell) => cell.trim()) }));
    expect(listed).toEqual(SUITES.map(({ name, covers, time }) => ({ name, rest: ['', covers, time] })));
  });

  test('is the list of --help', () => {
    const help = run('--help');
    for (const { name, covers, time } of SUITES)
      expect(
        help.split('\n').some((line) => [name, covers, time].every((part) => line.includes(part))),
        name,
      ).toBe(true);
  });

  test('contains every test file, in no two suites but a suite and its larger one', () => {
    const files = execFileSync('git', ['-C', ROOT, 'ls-files', 'test/**.test.ts'], { encoding: 'utf8' })
      .trim()
      .split('\n');
    const matches = (file: string, globs: readonly string[] = []) => globs.some((glob) => matchesGlob(file, glob));
    for (const file of files) {
      const suites = SUITES.filter(({ files, exclude }) => matches(file, files) && !matches(file, exclude));
      const names = suites.map(({ name }) => name);
      expect(names.length === 1 || ['real,kernels', 'quick,fuzz'].includes(`${names}`), `${file}: ${names}`).toBe(true);
    }
    expect(files.length).toBeGreaterThan(400);
    const names = SUITES.map(({ name }) => name);
    for (const { beside } of SUITES) if (beside !== undefined) expect(names).toContain(beside);
    for (const { name, first = [], files: globs, exclude } of SUITES)
      for (const file of first)
        expect(files.includes(file) && matches(file, globs) && !matches(file, exclude), `${name}: ${file}`).toBe(true);
  });
});

/** The globs of the table: braces, `**`, `*`, and `!(name|name)`. */
function matchesGlob(file: string, glob: string): boolean {
  const pattern = glob
    .replaceAll(/[.+^$\\]/g, '\\$&')
    .replaceAll(/!\(([^)]*)\)/g, '(?!(?:$1)\\b)[^/]*')
    .replaceAll(/\{([^}]*)\}/g, (_, names: string) => `(?:${names.replaceAll(',', '|')})`)
    .replaceAll(/\*\*\/|\*\*|(?<!\])\*/g, (stars) => ({ '**/': '(?:.*/)?', '**': '.*' })[stars] ?? '[^/]*');
  return new RegExp(`^${pattern}$`).test(file);
}

describe('results of runs', () => {
  const root = join(folder, 'clone');
  const git = (...args: string[]) => execFileSync('git', ['-C', root, ...args], { stdio: 'pipe' });
  execFileSync('git', ['init', '-q', root]);
  execFileSync('mkdir', ['-p', join(root, 'src'), join(root, 'docs')]);
  const write = (path: string, text: string) => writeFileSync(join(root, path), text);
  write('src/a.ts', 'a');
  git('add', '.');
  git('-c', 'user.name=x', '-c', 'user.email=x@localhost', 'commit', '-qm', 'x');

  test('depend on sources as they are, committed or not', () => {
    const before = sources(root);
    write('docs/page.md', 'no source');
    expect(sources(root)).toEqual(before);
    write('src/b.ts', 'new');
    const added = sources(root);
    write('src/a.ts', 'changed');
    const hashes = [before, added, sources(root)].map((each) => each.sources);
    expect(new Set(hashes).size).toBe(3);
    expect(sources(folder)).toEqual({ commit: null, sources: null });
  });

  test('are the latest whole ones; a line that was cut off is no result', () => {
    const result = { suite: 'unit', passed: 1, failed: 0, skipped: [] };
    record(root, { ...result, passed: 7 });
    record(root, { ...result, passed: 8 });
    record(root, { ...result, partial: true });
    writeFileSync(join(root, '.test-runs.ndjson'), '{"suite":"unit","pass', { flag: 'a' });
    expect([...latestRuns(root).values()]).toEqual([{ ...result, passed: 8 }]);
  });
});

describe('programs that are missing', () => {
  // A command with the name of each.
  const missingWith = (...programs: string[]) => {
    for (const program of programs)
      writeFileSync(join(folder, program.replace(/[@=].*/, '').replaceAll('/', '_')), '', { mode: 0o755 });
    return missing(programs, `${folder}:${process.env.PATH}`);
  };

  test('a command with the name of a module is not the module', () => {
    expect(missingWith('no_such_module@/usr/bin/python3=python3-no-such')).toEqual(['python3-no-such']);
    expect(missingWith('json@/usr/bin/python3=python3')).toEqual([]);
  });

  test('a command in PATH does not replace one at the path that tests use', () => {
    expect(missingWith('/usr/bin/no-such-program=such')).toEqual(['such']);
    expect(missingWith('no-such-program=such', '/bin/sh=dash')).toEqual([]);
  });

  test('programs that tests use by path are checked by path', () => {
    expect(PROGRAMS).toContain('jsonschema@/usr/bin/python3=python3-jsonschema');
    expect(PROGRAMS).toContain('/usr/bin/chromium=chromium');
  });
});

test.each([
  [['all', '--again'], 'all: the only option is --resume'],
  [['repeat', '0', 'unit'], 'repeat: the number of times is between 1 and 1000'],
  [['repeat', '2'], 'repeat: name a suite'],
  [['repeat', '2', 'no-suite'], 'no-suite: no such suite (scripts/test --help lists them)'],
])('scripts/test %j is refused', (args, message) => {
  expect(() => run(...args)).toThrow(message);
});
