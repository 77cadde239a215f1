import { describe, expect, test } from 'vitest';
import type { CensusEntry } from '../../../src/account/owners.js';
import { accountFd } from '../../../src/account/skb.js';
import { accountAll } from '../../../src/account/sockets.js';
import { ReadError } from '../../../src/base/errors.js';
import type { Figures } from '../../../src/contracts/sockets.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { kdumpMem } from '../../support/cli.js';
import { fromOracle } from '../../support/expected.js';
import { type KdumpFormat, labKdump, type OracleSocket } from '../../support/lab.js';

const { formats, oracle } = labKdump('newest');
/** The same memory after the same panic, unfiltered. */
const unfiltered = openNative({ files: [...formats.elf] });

/**
 * For this kernel, makedumpfile at level 31 with compression also filters slab pages that are in
 * use.
 */
const FILTERED: readonly KdumpFormat[] = ['lzo-d31', 'zlib-d31', 'zstd-d31', 'raw-d31', 'flattened-d31', 'split-d31'];

/** The objects that the filter removes depend on their neighbours in the slab. */
const NAMES_WHAT = /[,(] ?part of (struct \w+|the list|the file table) at 0x/;

const SUMS = [
  'skbs',
  'payloadBytes',
  'truesizeBytes',
  'frags',
  'maxFragsPerSkb',
  'pages',
  'pageBytes',
  'slabBytes',
  'pinnedBytes',
] as const;

/** No reported figure exceeds the true one, and a complete figure equals it. */
function neverMore(figures: Figures, truth: Figures, where: string): void {
  for (const sum of SUMS) {
    if (figures.complete) expect(figures[sum], `${where}: ${sum}`).toBe(truth[sum]);
    else expect(figures[sum], `${where}: ${sum}`).toBeLessThanOrEqual(truth[sum]);
  }
}

function compare(entry: Pick<CensusEntry, 'socket' | 'queues' | 'total'>, said: OracleSocket): void {
  const truth = fromOracle(said);
  const { family, type, state } = truth.socket;
  expect(entry.socket).toMatchObject({ family, type, state });
  if (entry.socket.inode !== null) expect(entry.socket.inode).toBe(said.inode);
  if (entry.socket.netns !== null) expect(entry.socket.netns).toBe(said.netns);
  for (const [name, figures] of Object.entries(entry.queues)) {
    const whole = truth.queues[name];
    if (whole) neverMore(figures, whole, `${said.sock} ${name}`);
    // Whether that queue exists depends on unreadable data.
    else expect(figures, name).toMatchObject({ skbs: 0, pinnedBytes: 0, complete: false });
  }
  neverMore(entry.total, truth.total, `${said.sock} total`);
}

describe.each(FILTERED)('a dump without half of its slabs, %s', (format) => {
  const kernel = openNative({ files: [...formats[format]] });
  const bySock = new Map(oracle.sockets.map((one) => [BigInt(one.sock), one]));

  test('every remaining socket is found, and none exceeds its true figures', () => {
    const answer = accountAll(kernel);
    expect(answer.totals.complete).toBe(false);
    expect(answer.warnings.map(({ code }) => code)).toContain('unreadable');
    let compared = 0;
    for (const entry of answer.sockets) {
      const said = bySock.get(entry.socket.sock);
      if (!said) continue;
      compare(entry, said);
      compared++;
    }
    // Fewer than drgn found in the unfiltered memory, but more than none.
    expect(compared).toBeGreaterThan(oracle.sockets.length / 2);
    expect(compared).toBeLessThan(oracle.sockets.length);
  });

  test('every descriptor has an answer, or the missing data is named', () => {
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
    // The filtered slabs differ from boot to boot: an answer may be complete or absent.
    expect(ends.whole + ends.incomplete).toBeGreaterThan(0);
    expect(ends.incomplete + ends.refused).toBeGreaterThan(0);
  });
});

test('the command names missing data, and --strict exits with status 5', async () => {
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
  const ran = await kdumpMem('skb', '--pid', `${holder.pid}`, '--fd', `${holder.fd}`, '--vmcore', file);
  expect(ran.status).toBe(3);
  expect(ran.stdout).toBe('');
  expect(ran.stderr).toMatch(
    /^kdump-mem: what the answer needs cannot be read: .*[,(] ?part of [a-z ]*\w+ at 0x[0-9a-f]+\)\. Use a dump with less filtering: .*\n$/,
  );
});
