import { describe, expect, test } from 'vitest';
import { CARRIERS, expectAlike, isOfPrintk, readingsOf } from '../../support/log-prefixes.js';
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
    const others = odd.flatMap(({ name, text }) =>
      [...readingsOf(text)].filter(([, reading]) => reading !== 'alike').map((reading) => [name, ...reading]),
    );
    expect(others).toEqual([]);
    expect(odd.length).toBeGreaterThan(70);
  });
});
