import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'missing-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Packages that scripts/test installs for these programs if PATH has one command with the name of each. */
function missing(...pairs: string[]): string[] {
  for (const pair of pairs) {
    const name = join(folder, pair.replace(/[@=].*/, '').replaceAll('/', '_'));
    writeFileSync(name, '#!/bin/sh\nexit 0\n');
    chmodSync(name, 0o755);
  }
  const script = `source ${ROOT}scripts/test-parts/missing.sh; missing "$@"`;
  return execFileSync('bash', ['-c', script, 'bash', ...pairs], {
    env: { PATH: `${folder}:${process.env.PATH}` },
    encoding: 'utf8',
  })
    .split('\n')
    .filter((line) => line !== '');
}

test('a command with the name of a module is not the module', () => {
  expect(missing('no_such_module@/usr/bin/python3=python3-no-such')).toEqual(['python3-no-such']);
  expect(missing('json@/usr/bin/python3=python3')).toEqual([]);
});

test('a command in PATH does not replace one at the path that tests use', () => {
  expect(missing('/usr/bin/no-such-program=such')).toEqual(['such']);
  expect(missing('no-such-program=such', '/bin/sh=dash')).toEqual([]);
});

test('scripts/test checks programs by path that tests use by path', () => {
  const script = readFileSync(`${ROOT}scripts/test`, 'utf8');
  const modules = [...script.matchAll(/(\S+)=python3-jsonschema/g)].map(([, what]) => what);
  expect(modules).toEqual(['jsonschema@/usr/bin/python3']);
  expect(script).toContain('/usr/bin/chromium=chromium');
});
