import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { doctorSchema } from '../../../src/answers/doctor/schema.js';
import { CHECK_CODES } from '../../../src/doctor/checks.js';
import { commandPath, kdumpMem } from '../../support/cli.js';

test('kdump-mem doctor runs all of its checks, here', async () => {
  const { stdout, stderr, status } = await kdumpMem('doctor', '--json');
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  const { checks, node } = doctorSchema.parse(JSON.parse(stdout));
  expect(checks.map(({ code }) => code)).toEqual(CHECK_CODES);
  expect(node).toBe(process.versions.node);
  // This check must pass: without counters there are no tests.
  expect(checks.find(({ code }) => code === 'counters')?.state).not.toBe('missing');
});

test('skcheck --doctor checks what skcheck uses', () => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [commandPath('skcheck'), '--doctor', ...args], { encoding: 'utf8' });
  const { checks } = doctorSchema.parse(JSON.parse(run('--json').stdout));
  expect(checks.map(({ code }) => code)).toContain('ss');
  expect(checks.map(({ code }) => code)).not.toContain('perf');
  expect(run()).toMatchObject({ status: 0, stderr: '', stdout: expect.stringMatching(/^skcheck /) });
  expect(run('--stale')).toMatchObject({ status: 2, stdout: '' });
});
