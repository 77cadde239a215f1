import { expect, test } from 'vitest';
import { failOn, isFailing } from '../../src/triage/finding.js';

test.each([
  [['critical'], { code: 'panic', severity: 'critical' }, true],
  [['critical'], { code: 'panic', severity: 'warning' }, false],
  [['warning'], { code: 'panic', severity: 'critical' }, true],
  [['oom-kill'], { code: 'oom-kill', severity: 'note' }, true],
  [['oom-kill'], { code: 'panic', severity: 'critical' }, false],
  [['critical', 'oom-kill'], { code: 'oom-kill', severity: 'warning' }, true],
  [['critical', 'note'], { code: 'tainted', severity: 'note' }, true],
])('%j fails on %j: %s', (words, finding, fails) => {
  expect(isFailing(failOn(words), finding)).toBe(fails);
});
