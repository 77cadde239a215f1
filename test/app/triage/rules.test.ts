import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { triageSchema } from '../../../src/contracts/triage.js';
import { fixture } from '../../support/fixtures.js';
import { kdumpMem } from '../../support/in-process.js';
import { scratchFolder } from '../../support/scratch.js';

const { vmcore } = fixture('6.1');
const folder = scratchFolder('rules-');

function rules(text: string): string {
  const file = join(folder, 'fleet.yaml');
  writeFileSync(file, text);
  return file;
}

const HEAD = 'schema: kdump-mem.rules/1\n';
const RULE = `${HEAD}rules:
  - code: acme/old-kernel
    severity: critical
    when: { release: '6.1.{patch:number}-*' }
    message: 'Release {kernelRelease}, patch {patch}.'
  - code: acme/line
    severity: note
    when: { log: 'whatever' }
    message: 'x'
`;

test('a rule matches, one on filtered data is unknown, and --fail-on counts it', async () => {
  const ran = await kdumpMem('triage', vmcore, '--rules', rules(RULE), '--json', '--fail-on', 'critical');
  expect(ran.status).toBe(1);
  const { findings, rules: outcome, overwritten } = triageSchema.parse(JSON.parse(ran.stdout));
  expect(findings[0]).toMatchObject({ code: 'acme/old-kernel', severity: 'critical' });
  expect(findings[0]?.words).toMatch(/^Release 6\.1\.\d+-\S+, patch \d+\.$/);
  // An extract without its log: the number of overwritten messages is unknown.
  expect(overwritten).toBeNull();
  expect(outcome).toMatchObject({ rules: 2, matched: 1, silenced: [], unknown: [{ code: 'acme/line' }] });
});

test.skipIf(existsSync('/proc/kcore'))('rules about this machine need its kernel memory', async () => {
  for (const words of [[], ['--live']]) {
    const { status, stderr } = await kdumpMem('triage', ...words, '--rules', rules(RULE));
    expect([status, stderr]).toEqual([2, 'kdump-mem: --rules needs a dump, a log, or a readable /proc/kcore\n']);
  }
});

test('--fail-on accepts built-in codes and those of the given rules', async () => {
  const file = rules(RULE);
  const status = async (...words: string[]) => {
    const ran = await kdumpMem('triage', vmcore, ...words);
    return [ran.status, ran.stderr.split('\n')[0]];
  };
  expect(await status('--rules', file, '--fail-on', 'oom-kill,acme/old-kernel')).toMatchObject({ 0: 1 });
  expect(await status('--rules', file, '--fail-on', 'oom-kill')).toMatchObject({ 0: 0 });
  expect(await status('--rules', file, '--fail-on', 'acme/odd-kernel')).toEqual([
    2,
    `kdump-mem: no rule in ${file} has the code acme/odd-kernel of --fail-on`,
  ]);
  expect(await status('--fail-on', 'acme/old-kernel')).toEqual([
    2,
    'kdump-mem: --fail-on acme/old-kernel needs --rules FILE',
  ]);
  const [wrong, words] = await status('--fail-on', 'oom-kil');
  expect(wrong).toBe(2);
  expect(words).toMatch(/critical, warning, note or the code of a finding\. Did you mean oom-kill/);
});

test('reports a silenced finding, and --fail-on does not count it', async () => {
  const silent = `${RULE}adjust:\n  - finding: acme/old-kernel\n    severity: silent\n    because: We know.\n`;
  const ran = await kdumpMem('triage', vmcore, '--rules', rules(silent), '--fail-on', 'note');
  expect(ran.status).toBe(0);
  expect(ran.stdout).toContain('No findings except those silenced by rules.');
  expect(ran.stdout).toContain('Silenced: 1 acme/old-kernel finding (critical). We know.');
  expect(ran.stdout).toMatch(/^Not evaluated: acme\/line \(.*\)\.$/m);
});

test('an invalid file is reported in one line, with line and field', async () => {
  const file = rules(`${HEAD}rules:\n  - code: acme/a\n    severity: note\n    when: { log: 'a**' }\n    message: x\n`);
  expect(await kdumpMem('triage', vmcore, '--rules', file)).toEqual({
    stdout: '',
    status: 2,
    stderr: `kdump-mem: ${file}:5: rules[0].when.log: two wildcards need text between them. See docs/rules.md for the fields.\n`,
  });
  const none = await kdumpMem('triage', vmcore, '--rules', join(folder, 'none.yaml'));
  expect(none).toMatchObject({ stdout: '', status: 2 });
  expect(none.stderr).toMatch(/none\.yaml cannot be read \(ENOENT\)\. Check the path\.\n$/);
  const fold = await kdumpMem('triage', vmcore, '--rules', folder);
  expect(fold.stderr).toBe(`kdump-mem: ${folder}: not a regular file\n`);
});
