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

  // Some have a single line that only a kernel prints, too few to learn a prefix from.
  test('logs without the prefix of printk are read alike behind any prefix, or reported as incomplete', () => {
    const odd = logs.filter(({ text }) => !isOfPrintk(text));
    const readings = odd.flatMap(({ name, text }) =>
      [...readingsOf(text)].map(([carrier, reading]) => ({ name, carrier, reading })),
    );
    expect(readings.filter(({ reading }) => reading === 'silent')).toEqual([]);
    expect(readings.filter(({ reading }) => reading === 'alike').length / readings.length).toBeGreaterThan(0.97);
    expect(odd.length).toBeGreaterThan(70);
  });
});
