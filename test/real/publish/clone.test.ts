import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { scratchFolder } from '../../support/scratch.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const home = scratchFolder('clone-');

test('the README’s commands for a clone install both commands and their manual pages', () => {
  const clone = join(home, 'kdump-mem');
  execFileSync('git', ['clone', '--quiet', ROOT, clone]);
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
  const [, command = ''] = /^\| with Node .*?`([^`]+)` in the clone/m.exec(readme) ?? [];
  expect(command).toContain('npm install --global .');
  const prefix = join(home, 'everybody');
  const installed = spawnSync('sh', ['-c', command], {
    cwd: clone,
    env: { ...process.env, npm_config_prefix: prefix, npm_config_prefer_offline: 'true' },
    encoding: 'utf8',
  });
  expect(installed).toMatchObject({ status: 0 });
  for (const name of ['kdump-mem', 'skcheck'])
    expect(execFileSync(join(prefix, 'bin', name), ['--version'], { encoding: 'utf8' })).toMatch(/^\d+\.\d+\.\d+\n$/);
  const pages = readdirSync(join(prefix, 'share/man/man1'));
  expect(pages).toEqual(expect.arrayContaining(['kdump-mem-memory.1', 'skcheck.1']));
  // They are links.
  for (const page of pages) expect(existsSync(join(prefix, 'share/man/man1', page))).toBe(true);
});
