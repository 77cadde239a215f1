import { expect, test } from 'vitest';
import { findingWords } from '../../src/answers/triage/words.js';
import { type Finding, failOn, isFailing } from '../../src/triage/finding.js';

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

test('a tmpfs of another mount namespace is named by pod and container, or by cgroup', () => {
  const words = (more: Finding['figures']) =>
    findingWords({
      code: 'shared-memory',
      figures: {
        kind: 'tmpfs',
        name: 'tmpfs /data',
        bytes: 2 ** 30,
        share: 0.1,
        pid: 9,
        comm: 'db',
        inside: 9,
        ...more,
      },
    });
  const where = 'Shared memory: tmpfs /data holds 1.00 GiB (10 % of memory), in the mount namespace of pid 9 (db)';
  const container = 'ab'.repeat(32);
  expect(words({ cgroup: '/a', pod: 'p\n', container })).toBe(`${where}, pod p\\x0a, container abababababab.`);
  expect(words({ cgroup: '/a', container })).toBe(`${where}, container abababababab.`);
  expect(words({ cgroup: '/system.slice/x' })).toBe(`${where}, cgroup /system.slice/x.`);
  expect(words({ cgroup: null })).toBe(`${where}.`);
});
