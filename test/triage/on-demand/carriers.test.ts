import { describe, expect, test } from 'vitest';
import { CARRIERS, changedBy, expectAlike, isOfPrintk } from '../../support/log-prefixes.js';
import { sharedLogs } from '../../support/shared-logs.js';

const logs = ['oom', 'panic', 'syzkaller'].flatMap((folder) => sharedLogs(folder) ?? []);

describe.skipIf(logs.length === 0)('all logs of other machines (skipped without ../shared/logs)', () => {
  test.each(logs.filter(({ text }) => isOfPrintk(text)))(
    '$name: every carrier has the findings of the plain log',
    ({ text }) => {
      for (const carrier of CARRIERS) expect(() => expectAlike(text, carrier), carrier.name).not.toThrow();
    },
  );

  test('logs without the prefix of printk are read alike behind any prefix', () => {
    const odd = logs.filter(({ text }) => !isOfPrintk(text));
    expect(odd.map(({ name, text }) => [name, changedBy(text)]).filter(([, by]) => by?.length !== 0)).toEqual([]);
    expect(odd.length).toBeGreaterThan(70);
  });
});
