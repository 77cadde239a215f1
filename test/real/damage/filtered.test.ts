import { describe, expect, test } from 'vitest';
import type { CensusEntry } from '../../../src/account/owners.js';
import { accountFd } from '../../../src/account/skb.js';
import { accountAll } from '../../../src/account/sockets.js';
import type { Figures } from '../../../src/account/tally.js';
import { ReadError } from '../../../src/base/errors.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { kdumpMem } from '../../support/cli.js';
import { fromOracle } from '../../support/expected.js';
import { type KdumpFormat, labKdump, type OracleSocket } from '../../support/lab.js';

const { formats, oracle } = labKdump('newest');
/** The same memory, after the same panic. */
const unfiltered = openNative({ files: [...formats.elf] });

/** makedumpfile leaves live slab pages of this kernel out at level 31, where it compresses. */
const FILTERED: readonly KdumpFormat[] = [
  ...(['lzo-d31', 'zlib-d31', 'zstd-d31', 'raw-d31', 'flattened-d31', 'split-d31'] as const),
];

/** Where the filter cut the way to a socket depends on what lay beside it in its slabs. */
const NAMES_WHAT = /[,(] ?part of (struct \w+|the list|the file table) at 0x/;

const SUMS = [
  ...(['skbs', 'payloadBytes', 'truesizeBytes', 'frags', 'maxFragsPerSkb'] as const),
  ...(['pages', 'pageBytes', 'slabBytes', 'pinnedBytes'] as const),
];

/** Nothing that is told is more than there was; what is told as whole is all of it. */
function neverMore(told: Figures, truth: Figures, where: string): void {
  for (const sum of SUMS) {
    if (told.complete) expect(told[sum], `${where}: ${sum}`).toBe(truth[sum]);
    else expect(told[sum], `${where}: ${sum}`).toBeLessThanOrEqual(truth[sum]);
  }
}

function compare(
  entry: Pick<CensusEntry, 'socket' | 'queues' | 'total'>,
  said: OracleSocket,
): void {
  const truth = fromOracle(said);
  const { family, type, state } = truth.socket;
  expect(entry.socket).toMatchObject({ family, type, state });
  if (entry.socket.inode !== null) expect(entry.socket.inode).toBe(said.inode);
  if (entry.socket.netns !== null) expect(entry.socket.netns).toBe(said.netns);
  for (const [name, figures] of Object.entries(entry.queues)) {
    const whole = truth.queues[name];
    if (whole) neverMore(figures, whole, `${said.sock} ${name}`);
    // Whether it has that queue at all is in what cannot be read.
    else expect(figures, name).toMatchObject({ skbs: 0, pinnedBytes: 0, complete: false });
  }
  neverMore(entry.total, truth.total, `${said.sock} total`);
}

describe.each(FILTERED)('a dump without half of its slabs, %s', (format) => {
  const kernel = openNative({ files: [...formats[format]] });
  const bySock = new Map(oracle.sockets.map((one) => [BigInt(one.sock), one]));

  test('every socket that is left is found and told, and none as more than it was', () => {
    const answer = accountAll(kernel);
    expect(answer.total.complete).toBe(false);
    expect(answer.warnings.map(({ code }) => code)).toContain('unreadable');
    let compared = 0;
    for (const entry of answer.sockets) {
      const said = bySock.get(entry.socket.sock);
      if (!said) continue;
      compare(entry, said);
      compared++;
    }
    // Not all that drgn found in the whole memory, but not nothing either.
    expect(compared).toBeGreaterThan(oracle.sockets.length / 2);
    expect(compared).toBeLessThan(oracle.sockets.length);
  });

  test('every descriptor is answered, or what is missing is named', () => {
    const ends = { whole: 0, incomplete: 0, refused: 0 };
    for (const said of oracle.sockets) {
      const [holder] = said.holders;
      if (!holder) continue;
      try {
        const answer = accountFd(kernel, holder.pid, holder.fd);
        compare(answer, said);
        if (!answer.total.complete) expect(answer.warnings.length).toBeGreaterThan(0);
        ends[answer.total.complete ? 'whole' : 'incomplete']++;
      } catch (error) {
        if (!(error instanceof ReadError)) throw error;
        expect(error.code).toBe('filtered');
        expect(error.message).toMatch(NAMES_WHAT);
        expect(() => kernel.read(error.address, 1)).toThrow(ReadError);
        expect(unfiltered.read(error.address, 1).byteLength).toBe(1);
        ends.refused++;
      }
    }
    // Which slabs the filter takes differs from boot to boot: an answer may be whole, or none.
    expect(ends.whole + ends.incomplete).toBeGreaterThan(0);
    expect(ends.incomplete + ends.refused).toBeGreaterThan(0);
  });
});

test('the command names what is missing, and --strict tells it by its status', async () => {
  const [file = ''] = formats['lzo-d31'];
  const all = await kdumpMem('sockets', '--vmcore', file, '--strict');
  expect(all.status).toBe(5);
  expect(all.stderr).toContain('were filtered out of the dump');
  const kernel = openNative({ files: [file] });
  const refused = oracle.sockets.find(({ holders: [holder] }) => {
    try {
      if (holder) accountFd(kernel, holder.pid, holder.fd);
      return false;
    } catch {
      return true;
    }
  });
  kernel.close();
  const [holder] = refused?.holders ?? [];
  if (!holder) throw new Error('nothing was refused');
  const ran = await kdumpMem(
    ...['skb', '--pid', `${holder.pid}`, '--fd', `${holder.fd}`, '--vmcore', file],
  );
  expect(ran.status).toBe(3);
  expect(ran.stdout).toBe('');
  expect(ran.stderr).toMatch(
    /^kdump-mem: what the answer needs cannot be read: .*[,(] ?part of [a-z ]*\w+ at 0x[0-9a-f]+\)\. Use a dump with less filtering: .*\n$/,
  );
});
