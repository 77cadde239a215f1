import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ROOT } from '../../support/documents.js';

/** Shell that runs on machines of users. */
const SHIPPED = execFileSync('git', ['-C', ROOT, 'ls-files', 'deploy', '*.sh', ':!scripts'], { encoding: 'utf8' })
  .split('\n')
  .filter((file) => file !== '' && /^#!.*\b(?:ba)?sh\b/.test(readFileSync(`${ROOT}/${file}`, 'latin1')));

const shellcheck = (args: readonly string[], input = '') => {
  const { status, stdout } = spawnSync('shellcheck', ['--format', 'gcc', ...args], { cwd: ROOT, input });
  return { status, stdout: String(stdout) };
};

test.each(SHIPPED)('shellcheck reports nothing for %s', (file) => {
  expect(shellcheck([file])).toEqual({ status: 0, stdout: '' });
});

test('shellcheck reads the snapshot script, and reports what an sh may not have', () => {
  expect(SHIPPED).toContain('src/capture/read/script/snapshot.sh');
  expect(shellcheck(['-'], '#!/bin/sh\n[[ $1 = x ]]\n').stdout).toContain('SC3010');
});

test.each([
  ['perl', ['-c'], 'my $x = ;\n'],
  ['python3', ['-c', 'import ast, sys; ast.parse(sys.stdin.read())'], 'x = = 1\n'],
] as const)('%s parses its list of netlink, and refuses what is none', (program, args, wrong) => {
  const file = `${ROOT}/src/host/netlink/list.${program === 'perl' ? 'pl' : 'py'}`;
  const parse = (input: string | Buffer) =>
    spawnSync(program, args, { input, stdio: ['pipe', 'ignore', 'ignore'] }).status;
  expect(parse(readFileSync(file))).toBe(0);
  expect(parse(wrong)).not.toBe(0);
});
