import { expect, test } from 'vitest';
import type { CensusEntry } from '../../../src/account/owners.js';
import { accountAll } from '../../../src/account/sockets.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { stalledReaders } from '../../../src/triage/triage.js';
import { Warnings } from '../../../src/walk/warnings.js';
import { memoryOf } from '../../support/damaged-kernel.js';
import { labDump } from '../../support/lab.js';

/** Findings about the sockets of a dump, with some of them repeated. */
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

test('readers with a closed window are listed before others that pin more', () => {
  const { found } = toldOf((closed, open) => [...Array<CensusEntry>(30).fill(open), closed]);
  expect(found).toHaveLength(20);
  expect(found[0]?.severity).toBe('warning');
  expect(found.at(-1)).toMatchObject({ severity: 'note', figures: { others: 11 } });
});

test('an impossible time hides no reader silently', () => {
  const sound = openNative({ files: [labDump('6.1').elf] });
  const { sockets } = accountAll(sound);
  const [finding] = stalledReaders(sound, { sockets }, new Warnings(), 0);
  const sock = BigInt(String(finding?.figures.sock));
  const { read, set, damagedBy } = memoryOf(sound);
  // A quarter of the 32-bit range is longer than any guest runs.
  const wrong = read(sock, 'inet_connection_sock.icsk_ack.lrcvtime') ^ 0x4000_0000n;
  const warnings = new Warnings();
  const found = stalledReaders(
    damagedBy(set(sock, 'inet_connection_sock.icsk_ack.lrcvtime', wrong)),
    { sockets },
    warnings,
    0,
  );
  sound.close();
  expect(found.map(({ figures }) => figures.sock)).not.toContain(finding?.figures.sock);
  expect(warnings.list()).toMatchObject([{ code: 'corrupt' }]);
});

test('an unreadable socket hides no other, and is reported', () => {
  const { found, warnings } = toldOf((closed) => [{ ...closed, socket: { ...closed.socket, sock: 0x1000n } }, closed]);
  expect(found).toMatchObject([{ code: 'stalled-reader', severity: 'warning' }]);
  expect(warnings).toEqual([expect.objectContaining({ message: expect.stringMatching(/0x1000/) })]);
});
