import { describe, expect, test } from 'vitest';
import type { ChosenProcs } from '../../../src/account/processes/groups.js';
import { checkThresholds, parseThreshold } from '../../../src/app/procs/thresholds.js';
import { kdumpMem } from '../../support/in-process.js';

const INCIDENT = 'fixtures/incident.vmcore';
const process = (pid: number, anonBytes: number | null) => ({ pid, comm: 'a\x1b', anonBytes });
const picked = (more: object = {}, beside: object = { hidden: false }) =>
  ({
    answer: { processes: [process(7, 5000), process(8, 100)], complete: true, ...more },
    members: [],
    ...beside,
  }) as unknown as ChosenProcs;

describe('limits of --fail-on for processes', () => {
  test('fail only if exceeded, with a line for each process', () => {
    expect(checkThresholds(picked(), parseThreshold('anon=5000'))).toEqual({ status: undefined, lines: [] });
    expect(checkThresholds(picked(), parseThreshold('anon=4999'))).toEqual({
      status: 1,
      lines: ['--fail-on: anon of pid 7 (a\\x1b) is 4.88 KiB (limit 4.88 KiB)'],
    });
  });
  test('an unknown figure, a hidden process or an incomplete answer is no success', () => {
    const unknown = picked({ processes: [process(7, 1), process(9, null)] });
    for (const doubtful of [unknown, picked({}, { hidden: true }), picked({ complete: false })])
      expect(checkThresholds(doubtful, parseThreshold('anon=9999'))).toMatchObject({ status: 5 });
    // A certain excess takes precedence.
    expect(checkThresholds(picked({ complete: false }), parseThreshold('anon=10')).status).toBe(1);
  });
  test('apply to groups as a whole; an unknown member makes a group unknown', () => {
    const group = (key: string | null, anonBytes: number) => ({ key, anonBytes });
    const groups = [group('web', 5100), group(null, 1)];
    const members = [[process(7, 5000), process(8, 100)], []];
    expect(checkThresholds(picked({ groups }, { members }), parseThreshold('anon=5050'))).toMatchObject({
      status: 1,
      lines: [expect.stringContaining('anon of web is')],
    });
    const unknown = picked({ groups: [group('web', 100)] }, { members: [[process(8, 100), process(9, null)]] });
    expect(checkThresholds(unknown, parseThreshold('anon=5050')).status).toBe(5);
  });
  test('count the rows beyond the first ten', () => {
    const processes = Array.from({ length: 30 }, (_, index) => process(index + 1, 100));
    const { lines } = checkThresholds(picked({ processes }), parseThreshold('anon=1'));
    expect(lines).toHaveLength(11);
    expect(lines.at(-1)).toBe('--fail-on: 20 more exceed the limit 1 B');
  });
  test.each(['anon', 'threads=3', 'anon=10%', 'anon=x'])('%s is refused', (text) => {
    expect(() => parseThreshold(text)).toThrow();
  });
});

test('the command: status and line', async () => {
  const failing = await kdumpMem('procs', '--vmcore', INCIDENT, '--fail-on', 'uss=200M');
  expect(failing.status).toBe(1);
  expect(failing.stderr).toContain('--fail-on: uss of pid 231 (nightly-batch) is 269 MiB');
  const fine = await kdumpMem('procs', '--vmcore', INCIDENT, '--fail-on', 'uss=300M');
  expect(fine).toMatchObject({ status: 0, stderr: '' });
});
