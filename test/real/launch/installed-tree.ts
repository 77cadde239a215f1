import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** The program of another Node release, installed by scripts/test. */
export function nodeOf(release: '8' | '18' | '20-19' | '20-20' | '22' | '24'): string {
  return join(ROOT, `test/nodes/node_modules/node-${release}/bin/node`);
}

/** A folder with the result of `npm install --global` of the built package, and a home. */
export function installTree(): { folder: string; bin: string; home: string } {
  const folder = mkdtempSync(join(tmpdir(), 'kdump-mem-installed-'));
  // The existing build: a new one would replace it under other tests.
  const pack = ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder];
  const name = execFileSync('npm', pack, { cwd: ROOT }).toString().trim();
  execFileSync('tar', ['-xf', join(folder, name), '-C', folder]);
  const home = join(folder, 'home');
  mkdirSync(home, { mode: 0o700 });
  return { folder, bin: join(folder, 'package/dist/bin'), home };
}
