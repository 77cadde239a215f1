import { expect, test } from 'vitest';
import { filed } from '../../../src/answers/triage/line.js';
import { triageLineSchema } from '../../../src/contracts/triage-line.js';

test.each([
  [0, '1970-01-01T00:00:00.000Z'],
  [253_402_300_799_000, '9999-12-31T23:59:59.000Z'],
  [253_402_300_800_000, null],
  [-62_167_219_200_001, null],
  [9e15, null],
  [undefined, null],
])('for a file changed at %s ms a line reports %s', (mtime, expected) => {
  const dump = { dump: '/a', files: ['/a'], place: 'a', size: 1 };
  const facts = filed(mtime === undefined ? dump : { ...dump, mtime }, null);
  expect(facts.mtime).toBe(expected);
  triageLineSchema.shape.mtime.parse(facts.mtime);
});
