import { expect, test } from 'vitest';
import type { CensusEntry } from '../../../src/account/census-entry.js';
import { accountAll } from '../../../src/account/sockets.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { stalledReaders } from '../../../src/triage/stalled-readers.js';
import { Warnings } from '../../../src/walk/warnings.js';
import { labDump } from '../../support/lab.js';

/** What the sockets of a dump would tell, with some of them once and again. */
function toldOf(choose: (closed: CensusEntry, open: CensusEntry) => readonly CensusEntry[]) {
  const kernel = openNative({ files: [labDump('6.1').elf] });
  const warnings = new Warnings();
  const { sockets } = accountAll(kernel);
  const alone = (entry: CensusEntry) =>
    stalledReaders(kernel, { sockets: [much(entry)] }, new Warnings(), 0)[0]?.severity;
  const closed = sockets.find((entry) => alone(entry) === 'warning');
  const open = sockets.find((entry) => alone(entry) === 'note');
  if (!closed || !open) throw new Error('the dump has no such sockets');
  const found = stalledReaders(kernel, { sockets: choose(closed, much(open)) }, warnings, 0);
  kernel.close();
  return { found, warnings: warnings.list() };
}

const much = (entry: CensusEntry): CensusEntry => ({
  ...entry,
  unreadBytes: 2 ** 21,
  total: { ...entry.total, pinnedBytes: 2 ** 21 },
});

test('those whose peer may send no more are not among the rest of others that pin more', () => {
  const { found } = toldOf((closed, open) => [...Array<CensusEntry>(30).fill(open), closed]);
  expect(found).toHaveLength(20);
  expect(found[0]?.severity).toBe('warning');
  expect(found.at(-1)).toMatchObject({ severity: 'note', figures: { others: 11 } });
});

test('a socket that cannot be read hides no other, and is said', () => {
  const { found, warnings } = toldOf((closed) => [
    { ...closed, socket: { ...closed.socket, sock: 0x1000n } },
    closed,
  ]);
  expect(found).toMatchObject([{ code: 'stalled-reader', severity: 'warning' }]);
  expect(warnings).toEqual([expect.objectContaining({ message: expect.stringMatching(/0x1000/) })]);
});
