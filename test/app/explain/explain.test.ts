import { expect, test } from 'vitest';
import { explainSchema } from '../../../src/contracts/explain.js';
import { kdumpMem } from '../../support/cli.js';
import { fixture } from '../../support/fixtures.js';

test('explain prints the meaning of a code, its source and the next step', async () => {
  const { stdout, stderr, status } = await kdumpMem('explain', 'hung-task');
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  expect(stdout).toMatch(
    /^hung-task \(Findings of kdump-mem triage\)\n {2}Meaning {3}A task was in uninterruptible sleep/,
  );
  expect(stdout).toContain('\n  Source    khungtaskd');
  expect(stdout).toContain('\n  Next      kdump-mem blocked -v --vmcore FILE # or --live\n');
});

test('an unknown code is reported in one line, with similar codes', async () => {
  expect(await kdumpMem('explain', 'hung-tsak')).toEqual({
    stdout: '',
    status: 2,
    stderr: 'kdump-mem: unknown code hung-tsak. Did you mean hung-task? List all codes: kdump-mem explain\n',
  });
  const hostile = await kdumpMem('explain', '\u001b[31m');
  expect(hostile.stderr).toBe('kdump-mem: unknown code \\x1b[31m. List all codes: kdump-mem explain\n');
});

test('explain knows every code in the answers about a real dump', async () => {
  const { vmcore } = fixture('6.1');
  const [all, triage, sockets] = await Promise.all([
    kdumpMem('explain', '--json'),
    kdumpMem('triage', '--json', vmcore),
    kdumpMem('sockets', '--json', vmcore),
  ]);
  const { codes } = explainSchema.parse(JSON.parse(all.stdout));
  const known = new Set(codes.map(({ kind, code }) => `${kind} ${code}`));
  const found = JSON.parse(triage.stdout);
  const { outsideQueues, warnings } = JSON.parse(sockets.stdout);
  const rows = (of: { code: string }[], kind: string) => of.map(({ code }) => `${kind} ${code}`);
  // The code names the row; repeated rows are distinguished by `what`.
  const names: { what: string }[] = outsideQueues;
  const met = [
    ...rows(found.findings, 'finding'),
    ...rows([...found.warnings, ...warnings], 'warning'),
    ...names.map(({ what }) => `row ${what.split(' ')[0]}`),
  ];
  expect(met.length).toBeGreaterThan(5);
  expect(met.filter((one) => !known.has(one))).toEqual([]);
});
