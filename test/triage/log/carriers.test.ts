import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { CARRIERS, expectAlike, isOfPrintk } from '../../support/log-prefixes.js';
import { sharedLogs } from '../../support/shared-logs.js';

const FIXTURES = new URL('../../../fixtures/logs/', import.meta.url);
const fixtures = readdirSync(FIXTURES).map((name) => ({ name, text: readFileSync(new URL(name, FIXTURES), 'utf8') }));

test.each(CARRIERS.map((carrier) => [carrier.name, carrier] as const))(
  '%s: the findings of the plain logs',
  (_, carrier) => {
    for (const { name, text } of fixtures) expect(() => expectAlike(text, carrier), name).not.toThrow();
  },
);

/** Each twentieth log of other machines in turn; all of them are in on-demand/carriers.test.ts. */
const shared = ['oom', 'panic', 'syzkaller']
  .flatMap((folder) => sharedLogs(folder) ?? [])
  .filter(({ text }) => isOfPrintk(text));

describe.skipIf(shared.length === 0)('logs of other machines (skipped without ../shared/logs)', () => {
  test.each(CARRIERS.map((carrier, index) => [carrier.name, carrier, index] as const))('%s', (_, carrier, index) => {
    const some = shared.filter((__, at) => at % 45 === index % 45);
    for (const { name, text } of some) expect(() => expectAlike(text, carrier), name).not.toThrow();
  });
});
