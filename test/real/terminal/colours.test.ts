import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { STEP_MS } from '../../../scripts/lab-parts/limits.mjs';
import { commandPath } from '../../support/cli.js';

/** Otherwise Python sets LC_CTYPE for its children (PEP 538). */
const COERCED = { PYTHONCOERCECLOCALE: '0' };
const PTY = fileURLToPath(new URL('on_terminal.py', import.meta.url));
const LOG = fileURLToPath(new URL('../../../fixtures/logs/oom-6.12.log', import.meta.url));

/** Text of triage on a terminal of 100 columns. */
async function shown(env: Readonly<Record<string, string>>): Promise<string> {
  const command = [process.execPath, commandPath('kdump-mem'), 'triage', LOG, '-v'];
  const { stdout } = await execa('python3', [PTY, '100', ...command], {
    timeout: STEP_MS,
    env: { TERM: 'xterm', NO_COLOR: '', LC_ALL: '', LC_CTYPE: '', LANG: 'en_US.UTF-8', ...COERCED, ...env },
  });
  return stdout;
}

const coloured = await shown({});
const plain = await shown({ NO_COLOR: '1' });

test('a severity is coloured on a terminal', () => {
  // SGR 31 is red.
  expect(coloured).toContain('\u001b[31mCRITICAL');
});

test.each([
  ['NO_COLOR', { NO_COLOR: '1' }],
  ['TERM=dumb', { TERM: 'dumb' }],
])('%s: no escape sequence, and the same words', async (_, env) => {
  const text = await shown(env);
  expect(text).not.toContain('\u001b');
  expect(text).toBe(plain);
});

test.each([{ LANG: 'C' }, { LC_ALL: 'POSIX' }])('%j: ASCII only, also with colours', async (env) => {
  expect(plain).toMatch(/[^\0-\x7f]/);
  const text = await shown(env);
  expect(text).toMatch(/^[\0-\x7f]+$/);
  expect(text).toContain('\u001b[31mCRITICAL');
  expect(text).not.toContain('?\u001b');
});
