import { beforeAll, describe, expect, test } from 'vitest';
import type { z } from 'zod';
import { jsonOf } from '../../../src/base/util.js';
import { type SocketsJson, socketLineSchema, socketsEndSchema, socketsSchema } from '../../../src/contracts/sockets.js';
import { fixture } from '../../support/fixtures.js';
import { kdumpMem } from '../../support/in-process.js';

const { vmcore, truth } = fixture('6.1');
const run = (...options: string[]) => kdumpMem('sockets', '--vmcore', vmcore, ...options);

async function json(...options: string[]): Promise<SocketsJson> {
  const { stdout, status, stderr } = await run('--json', ...options);
  expect([status, stderr]).toEqual([0, '']);
  const answer: SocketsJson = JSON.parse(stdout);
  socketsSchema.parse(answer);
  return answer;
}

type SocketJson = SocketsJson['sockets'][number];

/** Every socket, in the order of the answer. */
let all: readonly SocketJson[];
let whole: SocketsJson;
beforeAll(async () => {
  whole = await json('--all');
  all = whole.sockets;
});

const pidOf = (name: string) => truth.roles.find((role) => role.name === name)?.pid ?? 0;
const ownerOf = ({ holders, mappedBy }: SocketJson) => (holders.length ? holders : mappedBy);
/** Raw sockets have their protocol instead of a port. */
const portsOf = ({ socket: { family, type, local, peer } }: SocketJson) =>
  [local, peer].map((address) =>
    family.startsWith('AF_INET') && type !== 'SOCK_RAW' ? (/:(\d+)$/.exec(address ?? '')?.[1] ?? null) : null,
  );
const socks = (sockets: readonly SocketJson[]) => sockets.map(({ socket }) => socket.sock);

describe('sockets lists', () => {
  const of = (name: string) => all.find(({ holders }) => holders.some(({ pid }) => pid === pidOf(name)));
  const cases: Record<string, () => [option: string, isListed: (one: SocketJson) => boolean]> = {
    '--min-bytes': () => ['66k', ({ total }) => total.pinnedBytes >= 66 * 1024],
    '--pid': () => [String(pidOf('starving')), (one) => ownerOf(one).some(({ pid }) => pid === pidOf('starving'))],
    '--netns': () => [
      String(of('other-namespace')?.socket.netns),
      ({ socket }) => socket.netns === of('other-namespace')?.socket.netns,
    ],
    '--state': () => ['fin-wait-1', ({ socket }) => socket.state === 'FIN_WAIT1'],
    '--port': () => {
      const [port = ''] = portsOf(of('listener')!);
      return [String(port), (one) => portsOf(one).includes(port)];
    },
  };

  test.each(Object.keys(cases))('exactly the sockets that %s selects', async (name) => {
    const [value, isListed] = cases[name]!();
    const expected = all.filter((one) => one.total.pinnedBytes > 0 && isListed(one));
    expect(expected.length).toBeGreaterThan(0);
    expect(expected.length).toBeLessThan(all.length / 2);
    const answer = await json(name, value);
    expect(socks(answer.sockets)).toEqual(socks(expected));
    expect([answer.omitted, answer.allListed]).toEqual([0, false]);
    // The options select rows; the totals still cover the machine.
    expect(answer.totals).toEqual(whole.totals);
  });

  test.each([
    ['estab', 'ESTABLISHED'],
    ['UNCONN', 'CLOSE'],
  ])('the sockets in the state that ss calls %s', async (word, state) => {
    const expected = all.filter((one) => one.total.pinnedBytes > 0 && one.socket.state === state);
    expect(expected.length).toBeGreaterThan(0);
    expect(socks((await json('--state', word)).sockets)).toEqual(socks(expected));
  });

  test('sockets that match all of several options, also those that pin nothing', async () => {
    const pid = String(pidOf('listener'));
    const answer = await json('--all', '--pid', pid, '--state', 'LISTEN');
    const [listener, ...more] = answer.sockets;
    expect(more).toEqual([]);
    expect(listener?.total.pinnedBytes).toBe(0);
    expect(listener?.holders.map((holder) => holder.pid)).toEqual([Number(pid)]);
    expect((await json('--pid', pid, '--state', 'LISTEN')).sockets).toEqual([]);
  });

  test('the first rows with --limit, and reports how many it omitted', async () => {
    const pinning = all.filter(({ total }) => total.pinnedBytes > 0);
    const answer = await json('--limit', '3');
    expect(socks(answer.sockets)).toEqual(socks(pinning.slice(0, 3)));
    expect([answer.omitted, answer.allListed]).toEqual([pinning.length - 3, false]);
    expect([whole.allListed, (await json()).allListed]).toEqual([true, true]);
    const { stdout } = await run('--limit', '3');
    expect(stdout).toContain(`\n${pinning.length - 3} more sockets: --limit N or --all lists them.\n`);
    const lines = async (...options: string[]) =>
      ((await run(...options)).stdout.split('\n\n')[1] ?? '').split('\n').length - 1;
    expect(await lines()).toBe(20);
    expect(await lines('--all')).toBe(all.length);
  });
});

describe('sockets --by', () => {
  const keys: Record<string, (one: SocketJson) => readonly (string | null)[]> = {
    process: (one) => ownerOf(one).map(({ pid, comm }) => `${pid} ${comm}`),
    cgroup: (one) => ownerOf(one).map(({ cgroup }) => cgroup),
    netns: ({ socket }) => [String(socket.netns)],
    port: (one) => portsOf(one).slice(0, 1),
    family: ({ socket }) => [`${socket.family} ${socket.protocol}`],
    state: ({ socket }) => [socket.state],
  };

  test.each(Object.keys(keys))('%s counts each socket once in each of its groups', async (by) => {
    const expected = new Map<string, { sockets: number; skbs: number; payloadBytes: number }>();
    for (const one of all) {
      for (const key of new Set(keys[by]!(one))) {
        // Sockets without a process or a port are in groups with a name in brackets.
        if (key === null || key === '0') continue;
        const sum = expected.get(key) ?? { sockets: 0, skbs: 0, payloadBytes: 0 };
        sum.sockets++;
        sum.skbs += one.total.skbs;
        sum.payloadBytes += one.total.payloadBytes;
        expected.set(key, sum);
      }
    }
    const { groups = [] } = await json('--by', by);
    const found = groups.filter(({ key }) => !/^\(.*\)$|^0$/.test(key));
    expect(
      new Map(found.map(({ key, sockets, total: { skbs, payloadBytes } }) => [key, { sockets, skbs, payloadBytes }])),
    ).toEqual(expected);
    const pinned = groups.map(({ total }) => total.pinnedBytes);
    expect(pinned).toEqual(pinned.toSorted((a, b) => b - a));
    for (const { freedIfKilled, key } of groups)
      expect(freedIfKilled === null, key).toBe(by !== 'process' || key.startsWith('('));
  });

  test('adds up only selected sockets; --limit counts groups', async () => {
    const { groups } = await json('--by', 'process', '--state', 'LISTEN');
    const listening = all.filter(({ socket }) => socket.state === 'LISTEN');
    const owners = new Set(listening.flatMap(({ holders }) => holders.map(({ pid }) => pid)));
    expect(owners.size).toBeGreaterThan(1);
    const found = (groups ?? []).filter(({ key }) => !key.startsWith('('));
    expect(found.map(({ key }) => Number.parseInt(key, 10)).sort()).toEqual([...owners].sort());
    const few = await json('--by', 'process', '--limit', '2');
    const many = await json('--by', 'process');
    expect(few.groups).toEqual(many.groups?.slice(0, 2));
    expect(few.omitted).toBe((many.groups?.length ?? 0) - 2);
  });
});

describe('sockets --ndjson', () => {
  async function stream(...options: string[]) {
    const { stdout, status, stderr } = await run('--ndjson', ...options);
    expect([status, stderr]).toEqual([0, '']);
    const lines = stdout.split('\n');
    expect(lines.pop()).toBe('');
    const last = socketsEndSchema.parse(JSON.parse(lines.pop() ?? ''));
    return { sockets: lines.map((line) => socketLineSchema.parse(JSON.parse(line))), last };
  }
  const bySock = (a: SocketJson, b: SocketJson) => (a.socket.sock < b.socket.sock ? -1 : 1);

  test('prints the same as --json, one socket per line, and the totals in the last', async () => {
    const { sockets, last } = await stream('--all');
    const entries: SocketJson[] = jsonOf(sockets).map(({ schema: _, ...entry }) => entry);
    expect(entries.toSorted(bySock)).toEqual(all.toSorted(bySock));
    const { schema: _, sockets: __, allListed: ___, ...rest } = whole;
    const { schema, listed, ...end } = last;
    expect(schema).toBe('kdump-mem.sockets-end/1');
    expect(listed).toBe(all.length);
    expect(end).toEqual(rest);
  });

  test('prints at most --limit selected sockets', async () => {
    const pinning = all.filter(({ total }) => total.pinnedBytes > 100_000);
    const { sockets, last } = await stream('--min-bytes', '100001', '--limit', '2');
    expect(sockets).toHaveLength(2);
    for (const { total } of sockets) expect(total.pinnedBytes).toBeGreaterThan(100_000);
    expect(last).toMatchObject({ listed: 2, omitted: pinning.length - 2, totals: whole.totals });
  });

  test('a socket line is not a valid last line, and vice versa', async () => {
    const { sockets, last } = await stream('--limit', '1');
    const fails = (schema: z.ZodType, value: unknown) => !schema.safeParse(value).success;
    expect(sockets.every((line) => fails(socketsEndSchema, line))).toBe(true);
    expect(fails(socketLineSchema, last)).toBe(true);
  });
});

test.each([
  [['--all', '--limit', '5'], '--limit'],
  [['--all', '--min-bytes', '5'], '--min-bytes'],
  [['--ndjson', '--json'], '--json'],
  [['--ndjson', '--by', 'process'], '--by'],
  [['--ndjson', '--engine', 'verify'], 'verify'],
  [['--by', 'colour'], 'process, cgroup, netns, port, family, state'],
  [['--state', 'ESTABLI'], 'ESTABLISHED'],
  // Connections in TIME-WAIT have no struct sock: an empty list would mean "none".
  [['--state', 'TIME-WAIT'], 'must be one of'],
  [['--port', '70000'], 'must be 1 to 65535'],
  [['--limit', '-1'], 'whole number'],
  [['--pid', '12x'], 'whole number'],
])('sockets %j is a usage error, with the reason', async (options, word) => {
  const { status, stdout, stderr } = await run(...options);
  expect([status, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(/^kdump-mem: [^\n]+\n$/);
  expect(stderr).toContain(word);
});

describe('the text of sockets', () => {
  const text = async (...options: string[]) => (await run(...options)).stdout.split('\n');

  test('starts with the whole machine for any selection', async () => {
    const [headline] = await text();
    expect(headline).toMatch(
      /^\d+ of \d+ sockets pin .*\. pid \d+ \(stuffed\) holds \d+ % of it\. fd \d+ of pid \d+ \(starver\) pins 2\d times its data\.$/,
    );
    const pid = String(pidOf('starving'));
    expect((await text('--pid', pid, '--by', 'process'))[0]).toBe(headline);
    expect((await text('--state', 'LISTEN', '--by', 'process'))[0]).toBe(headline);
  });

  test('a socket that sends points to its peer, one that receives from it', async () => {
    const lines = (await text('--all')).filter((line) => /^ *[\d.]+ [KM]?i?B /.test(line));
    const arrows = (queue: RegExp) =>
      lines.filter((line) => queue.test(line)).flatMap((line) => line.match(/[←→]/) ?? []);
    expect(new Set(arrows(/ write /))).toEqual(new Set(['→']));
    expect(new Set(arrows(/ receive /))).toEqual(new Set(['←']));
  });

  test('reports an empty selection', async () => {
    const nothing = 'No sockets to list. Sockets that pin no memory are listed with --all.';
    expect((await text('--pid', '1'))[2]).toBe(nothing);
    expect((await text('--pid', '1', '--by', 'port'))[2]).toBe(nothing);
  });

  test.each([
    [['--pid', '999999'], 'pid 999999 not found among the '],
    [['--pid', '999999', '--ndjson'], 'pid 999999 not found among the '],
    [['--pid', '2'], 'pid 2 is a kernel thread and has no files'],
    [['--netns', '1', '--by', 'port'], 'network namespace 1 not found among 2'],
  ])('%j is not found: status 4, and one line', async (options, message) => {
    const { status, stdout, stderr } = await run(...options);
    expect([status, stdout]).toEqual([4, '']);
    expect(stderr).toMatch(/^kdump-mem: [^\n]+\n$/);
    expect(stderr).toContain(message);
  });

  test('lists large and incomplete rows outside queues, and all but empty ones with -v', async () => {
    const rowsOf = async (...options: string[]) => {
      const lines = await text(...options);
      const from = lines.indexOf('Network memory outside socket queues:');
      return lines.slice(from + 1).filter((line) => line !== '' && !line.startsWith('Next:'));
    };
    const { outsideQueues } = whole;
    const empty = outsideQueues.filter(({ bytes, objects }) => bytes === 0 && objects === 0).length;
    expect(empty).toBeGreaterThan(5);
    const all = await rowsOf('-v');
    expect(all).toHaveLength(outsideQueues.length - empty + 1);
    expect(all.at(-1)).toBe(`${empty} other places hold none.`);
    const large = outsideQueues.filter(({ bytes }) => (bytes ?? 0) >= 1024 * 1024);
    // Pages without an owner are less than 2 % of memory.
    expect(large.map(({ what }) => what)).toEqual(['other-pages']);
    expect((await text()).filter((line) => / places?, | no known owner|outside socket queues/.test(line))).toEqual([]);
  });

  test('ends with the command that shows the largest owner', async () => {
    const [top] = all;
    const { pid } = top?.holders[0] ?? {};
    // It has several sockets.
    const next = new RegExp(`^Next: kdump-mem skb --pid ${pid} --vmcore \\S+$`);
    expect((await text()).findLast((line) => line !== '')).toMatch(next);
    const byProcess = (await run('--by', 'process')).stdout.trimEnd().split('\n');
    expect(byProcess.at(-1)).toMatch(/^Next: kdump-mem skb --pid \d+ --vmcore \S+$/);
  });

  test('prints reason, location and cgroup below each socket only with --verbose', async () => {
    const table = async (...options: string[]) => (await run(...options)).stdout.split('\n\n')[1]?.split('\n') ?? [];
    const plain = await table('--limit', '5');
    const verbose = await table('--limit', '5', '--verbose');
    expect(plain).toHaveLength(6);
    expect(verbose.filter((line) => !line.startsWith('      '))).toEqual(plain);
    const details = verbose.filter((line) => line.startsWith('      '));
    expect(details).toHaveLength(5);
    expect(details.map((line) => /^ {6}sock (0x[0-9a-f]+); /.exec(line)?.[1])).toEqual(socks(all).slice(0, 5));
    for (const line of details) expect(line).toMatch(/; netns \d+; .*(cgroup \/|accept queue|unread message)/);
  });

  test('explains when orphans are freed, if one is listed', async () => {
    const orphans = /^The kernel frees orphans by itself: /m;
    expect((await run('--state', 'fin-wait-1')).stdout).toMatch(orphans);
    expect((await run('--state', 'listen', '--all')).stdout).not.toMatch(orphans);
  });

  test('prints the address of each socket without a process, for skb --sock', async () => {
    const addresses = (await text('--limit', '1000')).flatMap(
      (line) => / (0x[0-9a-f]+) \([^()]+\)$/.exec(line)?.[1] ?? [],
    );
    const alone = all.filter((one) => one.total.pinnedBytes > 0 && ownerOf(one).length === 0);
    expect(alone.length).toBeGreaterThan(3);
    expect(addresses).toEqual(socks(alone));
    const [address = ''] = addresses;
    const ran = await kdumpMem('skb', '--sock', address, '--vmcore', vmcore, '--json');
    expect(JSON.parse(ran.stdout).total).toEqual(alone[0]?.total);
  });

  test('prints one figure for FREED IF KILLED if both bounds are equal', async () => {
    const rows = await text('--by', 'process', '--all');
    const freed = (name: string) => rows.slice(1).find((row) => row.includes(`(${name})`)) ?? '';
    expect(freed('starver')).toMatch(/ (\d\S* [KM]iB) {2,}\1$/);
    expect(freed('udp-fed')).toMatch(/ \d\S* KiB to \d+ KiB$/);
    expect(rows.join('\n')).not.toMatch(/ (\S+ \S+) to \1$/m);
  });
});
