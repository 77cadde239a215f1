import { describe, expect, test } from 'vitest';
import { type ReportOptions, skcheckReport } from '../../../src/answers/skcheck/report.js';
import {
  SKCHECK_GROUPINGS,
  type SkcheckGrouping,
  type SkcheckGroups,
  type SkcheckReport,
  skcheckSchema,
} from '../../../src/answers/skcheck/schema.js';
import { formatRange, formatSkcheckText } from '../../../src/answers/skcheck/text.js';
import { formatSpan } from '../../../src/answers/skcheck/words.js';
import { columnsOf } from '../../../src/answers/text/cut.js';
import { formatSize } from '../../../src/base/size.js';
import { formatJson } from '../../../src/base/util.js';
import { observe } from '../../../src/host/observe.js';
import { diagnose } from '../../../src/skcheck/diagnose.js';
import { STALE_CODES, VERDICT_CODES } from '../../../src/skcheck/verdict.js';
import { FakeHost } from '../../host/fake-host.js';
import { NO_BOUNDS } from './samples.js';

const HOSTILE = '\u001b[31m,"\n\u009b2J\u202e';
const LONG = '[2001:db8:1111:2222:3333:4444:5555:6666]%wlan0';

async function report(
  only: 'stalled' | 'all' = 'stalled',
  intervalMs = 2000,
  root = false,
  lacking: string[] = [],
  rows: Pick<ReportOptions, 'by' | 'top'> = {},
): Promise<SkcheckReport> {
  const memory = 'skmem:(r800000,rb131072,t0,tb16384,f0,w0,o0,bl0,d0)';
  const row = (recvQ: number, inode: number, address: string, received: number) =>
    `tcp ESTAB ${recvQ} 0 ${address}:80 ${address}:40999 ino:${inode} sk:${inode} cgroup:/a${HOSTILE.replace('\n', '')} <-> ${memory} ts rcvmss:536 bytes_received:${received} lastrcv:2500000`;
  let calls = 0;
  const host = new FakeHost((args) => {
    if (args.includes('-x')) return '';
    const later = calls++ > 0;
    return [
      row(500_000, 500, '10.0.0.1', 500_000),
      row(1_000_000, 501, LONG, 1_000_000),
      row(100, 502, '10.0.0.1', later ? 90_000 : 100),
      row(10, 0, '10.0.0.3', 10),
    ].join('\n');
  });
  host.addProcess(4_194_304, { comm: HOSTILE, threads: [[4_194_304, 'T', 1]], fds: { 100000: 500, 7: 500 } });
  host.addProcess(20, { comm: HOSTILE, fds: { 3: 500 } });
  host.addProcess(21, { comm: 'reader', fds: { 3: 502 } });
  host.closed.add('/proc/77/fd');
  const observation = await observe(host, { intervalMs });
  return skcheckReport(observation, diagnose(observation), {
    takenAt: new Date(0),
    root,
    lacking,
    only: only === 'stalled' ? STALE_CODES : null,
    ...rows,
  });
}

describe('--by', () => {
  const by = (by: SkcheckGrouping, top?: number) =>
    report('all', 2000, false, [], { by, ...(top === undefined ? {} : { top }) });

  test.each(SKCHECK_GROUPINGS)('%s: each listed socket is in one group', async (what) => {
    const { groups, sockets, totals } = skcheckSchema.parse(await by(what));
    const sum = (of: (group: SkcheckGroups['rows'][number]) => number) =>
      groups?.rows.reduce((all, each) => all + of(each), 0);
    expect(groups?.by).toBe(what);
    expect(groups?.count).toBe(groups?.rows.length);
    expect(sum((group) => group.sockets)).toBe(sockets.length);
    expect(sum(({ stalled }) => stalled)).toBe(totals.stalled);
    for (const pick of ['unreadBytes', 'unsentBytes'] as const)
      expect(sum((group) => group[pick])).toBe(sockets.reduce((all, each) => all + each[pick], 0));
    for (const bound of ['low', 'likely'] as const)
      expect(sum(({ pinned }) => pinned[bound])).toBe(sockets.reduce((all, { pinned }) => all + pinned[bound], 0));
  });

  test('process: counts a shared socket for its first owner, and an unowned one as owner unknown', async () => {
    const { groups } = await by('process');
    expect(groups?.rows).toMatchObject([
      { pid: null, comm: null, sockets: 2, stalled: 2, shared: 0, unreadBytes: 1_000_010 },
      { pid: 20, comm: HOSTILE, sockets: 1, stalled: 1, shared: 1, unreadBytes: 500_000 },
      { pid: 21, comm: 'reader', sockets: 1, stalled: 0, shared: 0, unreadBytes: 100 },
    ]);
  });

  test('the text has one row for each group, and counts the omitted rows', async () => {
    const text = formatSkcheckText(await by('process'));
    expect(text).toMatch(/^PROCESS +SOCKETS +STALLED +QUEUED +AGE +PINNED +IN PEERS +DROPS +BOUNDS$/m);
    expect(text).toMatch(/^\(owner unknown\) +2 +2 +977 KiB /m);
    expect(text).toMatch(/^pid 21 \(reader\) +1 +0 +100 B /m);
    expect(text).not.toContain('are listed');
    expect(text).not.toContain('Addresses:');
    const cut = await by('process', 1);
    expect(cut.groups?.rows).toHaveLength(1);
    expect(cut.sockets).toHaveLength(4);
    expect(formatSkcheckText(cut)).toContain('1 of 3 processes are listed: --top 3 lists all.');
  });

  test.each([20, 40, 60, 80, 120])('fits %i columns', async (width) => {
    for (const what of SKCHECK_GROUPINGS) {
      const lines = formatSkcheckText(await by(what), { width }).split('\n');
      const most = Math.max(width, what === 'pod' ? 46 : 44);
      for (const line of lines) expect(columnsOf(line)).toBeLessThanOrEqual(most);
    }
  });
});

test('counts rows beyond the limit', async () => {
  const object = await report();
  const text = formatSkcheckText(object, { limit: 1 });
  expect(text).toContain('1 of 3 sockets are listed: --top 3 lists all.');
  expect(text.match(/stalled-reader/g)).toHaveLength(1);
  expect(formatSkcheckText(object, { limit: 3 })).not.toContain('are listed');
});

describe('JSON', () => {
  test('conforms to its schema, and survives printing', async () => {
    for (const only of ['stalled', 'all'] as const) {
      const object = await report(only);
      expect(skcheckSchema.parse(JSON.parse(formatJson(object)))).toEqual(object);
    }
  });

  test('contains hostile names unchanged, and prints them as ASCII on one line', async () => {
    const object = await report();
    const text = formatJson(object);
    expect(text).toMatch(/^[\x20-\x7e]+$/);
    const parsed = skcheckSchema.parse(JSON.parse(text));
    expect(parsed.sockets.find(({ inode }) => inode === 500)?.comm).toBe(HOSTILE);
  });

  test('warns with a code and the number of sockets without an owner', async () => {
    const { warnings } = await report();
    expect(warnings.map(({ code, count }) => ({ code, count }))).toEqual([{ code: 'owner-unknown', count: 1 }]);
  });

  test('does not advise root to run as root', async () => {
    const words = async (root: boolean) => (await report('stalled', 2000, root)).warnings[0]?.message;
    expect(await words(false)).toMatch(/not visible to this user\. Run as root to see them$/);
    expect(await words(true)).toMatch(
      /not visible to this user\. Already root: a user namespace or seccomp hides them/,
    );
    const [warning] = (await report('stalled', 2000, true, ['CAP_NET_ADMIN', 'CAP_SYS_PTRACE'])).warnings;
    expect(warning?.message).toMatch(/Already root, but without CAP_SYS_PTRACE, as in a container$/);
  });

  test('reports that there was one sample', async () => {
    const object = await report('stalled', 0);
    expect(object.host).toMatchObject({ samples: 1, watchedMs: 0 });
    expect(object.warnings.map(({ code }) => code)).toContain('one-sample');
    expect(formatSkcheckText(object).split('\n')[1]).toMatch(/^\(one sample/);
  });

  test('--all lists sockets that are being read after those that are not', async () => {
    const { sockets } = await report('all');
    expect(sockets.map(({ stalled }) => stalled.verdict)).toEqual([
      'stalled-reader',
      'stalled-reader',
      'stalled-reader',
      'reading',
    ]);
  });
});

describe('text', () => {
  test('reports the most important figure first', async () => {
    const [headline] = formatSkcheckText(await report()).split('\n');
    expect(headline).toMatch(
      /^3 of 4 sockets are not being read\. Together they pin about [\d.]+ MiB \(at least [\d.]+ MiB\)\. The largest is tcp \[2001:.* \(owner unknown\)\.$/,
    );
  });

  test('reports an upper bound if the sockets have one', async () => {
    const { totals, ...object } = await report();
    const pinned = { low: 2 ** 20, likely: 2 ** 21, high: 2 ** 22, atMost: 2 ** 22 };
    expect(formatSkcheckText({ ...object, totals: { ...totals, pinned } })).toMatch(
      /are not being read\. Together they pin about 2\.00 MiB \(1\.00 MiB to 4\.00 MiB\), < 1 % of memory\. The largest/,
    );
    const far = { low: 2 ** 20, likely: 2 ** 21, high: 2 ** 26, atMost: 2 ** 26 };
    expect(formatSkcheckText({ ...object, totals: { ...totals, pinned: far } })).toMatch(
      /they pin about 2\.00 MiB \(at most 64\.0 MiB\), at most \d+ % of memory\. The largest/,
    );
  });

  test('warns if the upper bound is far above the likely value', async () => {
    const { totals, host, ...object } = await report();
    const unplacedBytes = 169 * 2 ** 20;
    const text = (likely: number, high: number, more = {}, verbose = false) =>
      formatSkcheckText(
        {
          ...object,
          host: { ...host, ...more },
          bounds: { ...object.bounds, unplacedBytes },
          totals: { ...totals, pinned: { low: 1, likely, high, atMost: null } },
        },
        { verbose },
      );
    const MIB = 2 ** 20;
    expect(text(7 * MIB, 178 * MIB)).toContain(
      '\nThe sockets may pin more than PINNED, because a packet can occupy a larger block of memory than the kernel counts. skcheck --exact counts the pinned pages (as root).\n',
    );
    expect(text(7 * MIB, 178 * MIB, { source: 'capture' })).toContain(
      'the kernel counts. skcheck --exact on that machine counts what is there now (as root, with /proc/kcore).\n',
    );
    expect(text(7 * MIB, 178 * MIB, {}, true)).toContain(
      'The upper bound is the 169 MiB of this machine that no kernel counter includes, per-CPU free lists among them.',
    );
    for (const [likely, high] of [
      [7 * MIB, 69 * MIB],
      [1024, 31 * MIB],
    ] as const)
      expect(text(likely, high)).not.toContain('PINNED may be too low');
  });

  test.each([80, 100, 160])('fits and uses %d columns', async (width) => {
    for (const verbose of [false, true]) {
      const lines = formatSkcheckText(await report('all'), { width, verbose }).split('\n');
      for (const line of lines) expect(columnsOf(line)).toBeLessThanOrEqual(width);
      const rows = lines.filter((line) => /^ *(?:-|\d+) {2}/.test(line));
      // One socket is being read: -v lists it.
      expect(rows.length).toBe(verbose ? 4 : 3);
      expect(Math.max(...lines.map(columnsOf))).toBeGreaterThan(width - 12);
      const words = lines.join(' ').replace(/ +/g, ' ');
      expect(words.split(`tcp ${LONG}:80 ← ${LONG}:40999`).length).toBeGreaterThan(1);
      for (const heading of ['PID', 'COMM', 'FD', 'VERDICT', 'QUEUED', 'AGE', 'PINNED'])
        expect(lines.find((line) => line.includes('PID'))?.split(/ +/)).toContain(heading);
    }
  });

  test('truncates and wraps nothing in a pipe', async () => {
    const object = await report('all');
    const text = formatSkcheckText(object, { verbose: true });
    expect(text).not.toContain('…');
    expect(text).toContain(`tcp ${LONG}:80 ← ${LONG}:40999`);
    const [, heading = '', ...rows] = formatSkcheckText(object).split('\n\n').join('\n').split('\n');
    expect(heading).toMatch(/ BOUNDS$/);
    const read = object.sockets.filter(({ stalled }) => stalled.verdict === 'reading').length;
    expect(read).toBe(1);
    expect(rows.join('\n')).toContain('\n1 other socket with data is being read and pins about ');
    expect(rows.filter((line) => line.includes(' ← ')).length).toBe(object.sockets.length - read);
  });

  test('escapes everything that a terminal interprets', async () => {
    const lines = formatSkcheckText(await report('all'), { verbose: true }).split('\n');
    for (const line of lines) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
      expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/);
    }
    expect(lines.join('\n')).toContain('\\x1b[31m');
  });

  test('names all owners, the descriptor and what the owner does', async () => {
    const object = await report();
    expect(formatSkcheckText(object)).not.toContain('also held by');
    const text = formatSkcheckText(object, { verbose: true });
    expect(text).toContain('also held by pid 4194304');
    expect(text).toContain('stalled-reader: read nothing in 2.0 s; ');
    expect(text).toContain('the listener has not accepted it yet');
  });

  test('names the pod and container, or the cgroup', async () => {
    const object = await report();
    const first = object.sockets.find(({ inode }) => inode === 500);
    if (!first) throw new Error('no socket');
    const words = (place: Partial<typeof first>) =>
      formatSkcheckText({ ...object, sockets: [{ ...first, ...place }] }, { verbose: true }).replace(/\s+/g, ' ');
    expect(words({})).toContain('; in cgroup /a\\x1b[31m,"\\x9b2J');
    const service = { cgroup: '/system.slice/feedd.service' };
    expect(words(service)).toContain('; in cgroup /system.slice/feedd.service');
    const pod = { ...service, pod: '1b2c', container: '0123456789abcdef' };
    expect(words(pod)).toMatch(/; in pod 1b2c, container 0123456789ab(?!.*cgroup)/);
    expect(words({ cgroup: '/' })).not.toContain('cgroup');
    const long = words({ cgroup: `/user.slice/${'x'.repeat(200)}/session-3.scope` });
    expect(long).toMatch(/cgroup \/user\.slice\/x{200}\/session-3\.scope/);
  });

  test('says what the verdicts of its rows mean', async () => {
    const object = await report();
    const [first] = object.sockets;
    const words = (verdict: SkcheckReport['sockets'][number]['stalled']['verdict']) => {
      const sockets = [{ ...first!, stalled: { ...first!.stalled, verdict } }];
      return formatSkcheckText({ ...object, sockets });
    };
    expect(words('udp-dropping')).toContain(' udp-dropping: The kernel drops datagrams because the queue of ');
    expect(words('stalled-reader')).not.toMatch(/(udp-dropping|deadlocked-pair|stalled-reader): /);
  });

  test('reports how much memory is freed if a process exits', async () => {
    const object = await report();
    expect(object.totals.worstOwner).toMatchObject({ pid: 20, sockets: 1, shared: 1, stopped: false });
    const { likelyPinnedBytes } = object.totals.worstOwner!;
    expect(likelyPinnedBytes).toBe(object.sockets.find(({ pid }) => pid === 20)?.pinned.likely);
    const share = `About ${formatSize(likelyPinnedBytes)} of these ${formatSize(object.totals.pinned.likely)}`;
    expect(formatSkcheckText(object)).toContain(`\n${share} is freed when pid 20 (`);
    expect(formatSkcheckText(object)).toContain(
      '\nOther processes hold it too: killing pid 20 alone does not free that memory.\n',
    );
    // What the process does instead is why it does not read.
    expect(formatSkcheckText(object)).toMatch(/^Its main thread is (sleeping|running)/m);
    const alone = { ...object, totals: { ...object.totals, stalled: 1 } };
    expect(formatSkcheckText(alone)).toMatch(/^The memory is freed when pid 20 /m);
    // Where memory is not short, a kill is not the first thing to do.
    const available = (
      memoryAvailableBytes: number | null,
      source: 'ss' | 'capture' = 'ss',
      warnings: SkcheckReport['warnings'] = [],
    ) => {
      const host = { ...alone.host, memoryBytes: 2 ** 34, memoryAvailableBytes, source };
      const words = formatSkcheckText({ ...alone, host, warnings });
      return /^The machine ha.* available: .*$/m.exec(words)?.[0];
    };
    expect(available(2 ** 33)).toMatch(
      /^The machine has 8\.00 GiB of 16\.0 GiB \(MemTotal\) available: first ask the owner of pid 20 \(.*\) why it does not read\. .*: run kdump-mem triage\.$/,
    );
    expect(available(2 ** 33, 'capture')).toMatch(/^The machine had .* on that machine\.$/);
    // Little, unknown, and more than there is. A quarter is much, also beside a full swap.
    for (const unknown of [null, 2 ** 32 - 1, 2 ** 35]) expect(available(unknown)).toBeUndefined();
    expect(available(2 ** 32)).toBeDefined();
    // The limit of these sockets is not the machine's.
    const full = [{ code: 'tcp-memory' as const, count: 1, message: 'near its limit' }];
    expect(available(2 ** 33, 'ss', full)).toBeUndefined();
    // Only where the bound is a small share, and no guess.
    const little = (high: number, atMost: number | null) => {
      const pinned = { ...alone.totals.pinned, high, atMost };
      const host = { ...alone.host, memoryBytes: 2 ** 34 };
      return formatSkcheckText({ ...alone, host, totals: { ...alone.totals, pinned } }).includes('It is little');
    };
    expect(little(2 ** 20, 2 ** 20)).toBe(true);
    expect(little(2 ** 20, null)).toBe(false);
    expect(little(2 ** 29, 2 ** 29)).toBe(false);
    expect(little(2 ** 33, 2 ** 33)).toBe(false);
  });

  test('a capture reports its host and time, or that its time is unknown', async () => {
    const object = await report();
    const words = (host: Partial<SkcheckReport['host']>) =>
      formatSkcheckText({ ...object, host: { ...object.host, ...host } }).split('\n')[1];
    expect(words({})).toBe('');
    const captured = { source: 'capture', name: 'web\u001b[1m', takenAt: '2026-11-20T23:07:25.123Z' } as const;
    expect(words(captured)).toBe('Captured on web\\x1b[1m, 2026-11-20 23:07:25 UTC');
    expect(words({ ...captured, name: '', takenAtKnown: false })).toBe(
      'Captured on an unnamed host, at an unknown time',
    );
  });

  test('prints one line if no socket is stalled', () => {
    const quiet: SkcheckReport = {
      schema: 'skcheck/1',
      host: {
        name: 'h',
        release: 'r',
        netns: 1,
        takenAt: '',
        takenAtKnown: true,
        bootId: null,
        uptimeSeconds: null,
        memoryBytes: null,
        memoryAvailableBytes: null,
        samples: 2,
        watchedMs: 2000,
        namespaces: 1,
        source: 'ss',
      },
      sockets: [],
      groups: null,
      totals: {
        sockets: 1341,
        stalled: 0,
        undecided: 0,
        verdicts: Object.fromEntries(VERDICT_CODES.map((code) => [code, 0])) as Record<
          (typeof VERDICT_CODES)[number],
          number
        >,
        unreadBytes: 0,
        unbounded: 0,
        pinned: { low: 0, likely: 0, high: 0, atMost: 0 },
        localPeers: {
          sockets: 0,
          unsentBytes: 0,
          stalledSenders: 0,
          pinned: { low: 0, likely: 0, high: 0, atMost: 0 },
        },
        listeners: 0,
        worstOwner: null,
        mptcp: 0,
        countedBy: 'row',
      },
      complete: true,
      owners: [],
      processes: [],
      bounds: NO_BOUNDS,
      warnings: [],
    };
    expect(formatSkcheckText(quiet)).toBe('No stalled socket among 1,341 sockets');
    const unsure = { ...quiet, totals: { ...quiet.totals, undecided: 2 } };
    expect(formatSkcheckText(unsure)).toBe('No stalled socket found among 1,341 sockets: 2 undecided');
  });
});

test.each([
  [850, '0.8 s'],
  [1999, '1.9 s'],
  [119_999, '119 s'],
  [2_460_000, '41 min'],
  [10_800_000, '3 h'],
  [172_800_000, '2 d'],
])('formatSpan(%d) is %s, and never rounds up', (ms, text) => {
  expect(formatSpan(ms)).toBe(text);
});

test.each([
  [0, 0, '0-0'],
  [812, 900, '812-900 B'],
  [5_347_738, 7_235_174, '5.10-6.90 MiB'],
  [65_180, 1_761_280, '63.7 KiB-1.68 MiB'],
])('formatRange(%d, %d) is %s', (low, high, text) => {
  expect(formatRange(low, high)).toBe(text);
});
