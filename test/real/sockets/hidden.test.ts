import { beforeAll, describe, expect, test } from 'vitest';
import { accountAll } from '../../../src/account/sockets.js';
import { socketsBlocks } from '../../../src/answers/sockets/document.js';
import { socketsJson } from '../../../src/answers/sockets/json.js';
import { blockTexts } from '../../../src/answers/text/blocks.js';
import { jsonOf } from '../../../src/base/util.js';
import { type SocketsJson, socketsSchema } from '../../../src/contracts/sockets.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { drgnJson } from '../../support/drgn.js';
import { type Hidden, KERNELS, labDump } from '../../support/lab.js';

type SocketJson = SocketsJson['sockets'][number];

/** drgn's results; see hidden.py. */
interface Drgn {
  readonly pairs: Readonly<Record<Hidden['how'], readonly (readonly [string | number, string])[]>>;
  readonly socks: Readonly<Record<string, object>>;
}

describe.each(KERNELS)('sockets of %s that no process has open', (version) => {
  const { elf, truth } = labDump(version);
  let answer: SocketsJson;
  let text: string;
  let drgn: Drgn;

  beforeAll(() => {
    const kernel = openNative({ files: [elf] });
    const all = accountAll(kernel, { by: 'process' });
    answer = jsonOf(socketsJson(all, all.sockets));
    socketsSchema.parse(answer);
    text = blockTexts(socketsBlocks(all, all.sockets, { limit: 1000 }), null).join('\n\n');
    kernel.close();
    drgn = drgnJson(elf, version, new URL('hidden.py', import.meta.url));
  });

  /** Finds the one that the guest reported: by its inode, or else by its addresses. */
  const find = ({ inode, how, local, peer }: Hidden): SocketJson => {
    const [only, ...more] = answer.sockets.filter(({ socket, holders }) =>
      inode !== null
        ? socket.inode === inode
        : socket.inode === 0 &&
          holders.length === 0 &&
          socket.local === local &&
          (how === 'accept' || socket.peer === peer),
    );
    expect(more).toEqual([]);
    if (!only) throw new Error(`not found: ${how} ${local}`);
    return only;
  };
  const bySock = (sock: string | null | undefined) => answer.sockets.find(({ socket }) => socket.sock === sock);
  const reportedBy = (how: Hidden['how']) => truth.hidden.filter((one) => one.how === how);
  /** Our pairs of [keeper, sock], in the form of drgn's. */
  const ours: Record<Hidden['how'], (one: SocketJson) => readonly (string | number | null)[]> = {
    scm: (one) => one.carriedBy,
    accept: (one) => (one.acceptedFrom === null ? [] : [one.acceptedFrom]),
    io_uring: (one) => one.registeredWith.map(({ pid }) => pid),
    orphan: ({ socket }) => (socket.state === 'FIN_WAIT1' && socket.inode === 0 ? [null] : []),
  };

  test('the scenario has each kind', () => {
    const names = truth.hidden.map(({ name }) => name).sort();
    expect(names).toEqual([
      'in-flight',
      'in-own-flight',
      'nested-carrier',
      'nested-socket',
      'orphan',
      'registered',
      'unix-waiting',
    ]);
  });

  test.each(['scm', 'accept', 'io_uring', 'orphan'] as const)('%s: keepers and figures match drgn', (how) => {
    const sorted = (pairs: readonly (readonly unknown[])[]) => pairs.map((pair) => pair.join(' ')).sort();
    const pairs = answer.sockets.flatMap((one) => ours[how](one).map((keeper) => [keeper, one.socket.sock] as const));
    expect(sorted(pairs)).toEqual(sorted(drgn.pairs[how]));
    expect(drgn.pairs[how].length).toBeGreaterThanOrEqual(reportedBy(how).length);
    for (const [, sock] of drgn.pairs[how]) {
      const found = bySock(sock);
      const { family, type, state, local, peer, netns } = found?.socket ?? {};
      expect({ family, type, state, local, peer, netns, queues: found?.queues }).toEqual(drgn.socks[sock]);
    }
  });

  test('each holds the data of its process, and names its keeper', () => {
    for (const one of truth.hidden) {
      const found = find(one);
      const { receive, write, retransmit } = found.queues;
      if (one.bytes !== null) expect(receive?.payloadBytes, one.name).toBe(one.bytes);
      if (one.unsent !== null) {
        const unsent = (write?.payloadBytes ?? 0) + (retransmit?.payloadBytes ?? 0);
        expect(unsent, one.name).toBe(one.unsent);
      }
      expect(found.holders, one.name).toEqual([]);
      const keeper = { scm: found.carriedBy[0], accept: found.acceptedFrom }[one.how as 'scm'];
      if (one.carrier !== null) expect(bySock(keeper)?.socket.inode, one.name).toBe(one.carrier);
      expect(found.foundBy, one.name).toContain(one.how === 'orphan' ? 'slab' : one.how);
    }
    const [ring] = reportedBy('io_uring');
    expect(text).toContain(`(io_uring of ${ring?.pid} ring fd `);
    expect(text).toContain('(sockets in an unread message)');
    expect(text).toContain('(in accept queue)');
    expect(text).toContain('(orphan)');
  });

  test('killing the keeper frees it; an orphan may be freed with its reader', () => {
    const freed = (pid: number) => answer.groups?.find(({ key }) => key.startsWith(`${pid} `))?.freedIfKilled;
    for (const one of truth.hidden) {
      const found = find(one);
      const bounds = freed(one.pid);
      if (one.how === 'orphan') {
        // A reset by its reader may free its unsent data; no close does that with certainty.
        const { local, peer } = found.socket;
        const end = answer.sockets.find(({ socket }) => socket.local === peer && socket.peer === local);
        expect(
          end?.holders.map(({ pid }) => pid),
          one.name,
        ).toEqual([one.pid]);
        expect(bounds?.low, one.name).toBeLessThan(found.total.pinnedBytes);
        expect(bounds?.high, one.name).toBeGreaterThan(found.total.pinnedBytes);
        continue;
      }
      expect(bounds?.high, one.name).toBeGreaterThanOrEqual(found.total.pinnedBytes);
      expect(bounds?.low, one.name).toBeGreaterThanOrEqual(found.exclusiveBytes);
    }
  });
});
