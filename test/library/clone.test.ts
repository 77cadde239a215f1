import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Output of a program in the clone, which imports the package by name as users do. */
function printed(type: 'module' | 'commonjs', code: string): string {
  return execFileSync(process.execPath, [`--input-type=${type}`, '-e', code], { cwd: ROOT, encoding: 'utf8' });
}

test('a clone after npm ci can be imported and required by the name of its package', () => {
  const dump = JSON.stringify(`${ROOT}fixtures/incident.vmcore`);
  const ask = `const dump = openDump(${dump}); console.log(dump.kernel.facts.release); dump.close();`;
  const release = printed('module', `import { openDump } from 'kdump-mem'; ${ask}`);
  expect(release).toMatch(/^\d+\.\d+\./);
  expect(printed('commonjs', `const { openDump } = require('kdump-mem'); ${ask}`)).toBe(release);
});
