import { expect, test } from 'vitest';
import { textRecords } from '../../src/log/text.js';
import { logFindings } from '../../src/triage/log/log-findings.js';

const OOM = `Nov 22 11:04:51 web1 sshd[9]: Out of memory: Killed process 1 (x) total-vm:1kB, anon-rss:1kB, file-rss:1kB
Nov 22 11:04:52 web1 kernel: Out of memory: Killed process 7 (x) total-vm:1kB, anon-rss:1kB, file-rss:1kB
`;

test('findings of a text rest on its lines, with the time that they have', () => {
  const [finding, ...others] = logFindings(textRecords(OOM), 4096);
  expect(others).toEqual([]);
  expect(finding).toMatchObject({ code: 'oom-kill', figures: { pid: 7 } });
  const time = { timestamp: null, printedTime: 'Nov 22 11:04:52' };
  expect(finding?.evidence).toMatchObject([{ kind: 'log', seq: 1, ...time }]);
});
