import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { findingWords } from '../../../src/answers/triage/words.js';
import { watchSampleLine } from '../../../src/answers/watch/sample.js';
import { changesSince as changes, readBaseline } from '../../../src/app/triage/baseline.js';
import { formatJson } from '../../../src/base/util.js';
import type { HostState, Item } from '../../../src/diff/state.js';
import { HostReader } from '../../../src/triage/host-reader.js';
import { look } from '../../growth/made-up-machine.js';
import { madeSource } from '../../support/made-host.js';

const GIB = 2 ** 30;

type Now = Parameters<typeof changes>[2];

const changesSince = (
  before: HostState,
  { origin, memory }: HostState,
  files: Readonly<Record<string, string>> = {},
  caches: readonly Pick<Now['caches'][number], 'name' | 'reclaimable' | 'bytes'>[] = [],
) =>
  changes(
    before,
    origin,
    { source: memory!.depth, memory: memory!.tree, caches } as Now,
    new HostReader(madeSource({ files }), 4096),
  );

interface Made {
  readonly uptime?: number | null;
  readonly at?: number;
  readonly bootId?: string | null;
  readonly host?: string;
  readonly depth?: string;
  readonly unattributed?: number;
  readonly slab?: number;
  readonly anonymous?: number;
  readonly lists?: HostState['lists'];
}

function state({
  uptime = 1000,
  at = 50_000,
  bootId = 'one',
  host = 'db1',
  depth = 'counters',
  unattributed = 0,
  slab = 0,
  anonymous = 0,
  lists = {},
}: Made): HostState {
  const leaf = (category: string, bytes: number) => ({ category, bytes, children: [] });
  return {
    name: 'monday',
    origin: { at: new Date(at * 1000).toISOString(), host, bootId, uptimeSeconds: uptime },
    release: null,
    pageSize: 4096,
    memory: {
      depth,
      drift: 0,
      tree: {
        category: 'memory',
        bytes: 10 * GIB,
        children: [
          {
            category: 'kernel',
            bytes: unattributed + slab,
            children: [
              leaf('unattributed', unattributed),
              leaf('slab-unreclaimable', slab),
              ...['vmalloc', 'kernel-stacks', 'page-tables', 'shared'].map((name) => leaf(name, 0)),
              leaf('anonymous', anonymous),
            ],
          },
        ],
      },
    },
    lists,
    flaws: [],
  };
}

const LATER = { uptime: 4600, at: 53_600 };

describe('changes since a baseline', () => {
  test('reports growth of memory that cannot be reclaimed, by its share', () => {
    const before = state({ unattributed: 1, slab: GIB });
    const found = changesSince(before, state({ ...LATER, unattributed: GIB, slab: 1.2 * GIB }));
    expect(found).toMatchObject([
      {
        code: 'memory-growth',
        severity: 'warning',
        figures: { category: 'unattributed', grownBytes: GIB - 1, beforeBytes: 1, seconds: 3600 },
      },
      { code: 'memory-growth', severity: 'note', figures: { category: 'slab-unreclaimable' } },
    ]);
  });

  const stat = (pid: number, ticks: number) => `${pid} (p${pid}) S ${'0 '.repeat(18)}${ticks} 0 0`;
  const process = (pid: number, ticks: number, anonKib: number) => ({
    [`/proc/${pid}/stat`]: stat(pid, ticks),
    [`/proc/${pid}/comm`]: `p${pid}\n`,
    [`/proc/${pid}/status`]: `Name:\tp${pid}\nState:\tS (sleeping)\nRssAnon:\t${anonKib} kB\n`,
  });
  const item = (pid: number, startTicks: number, rssAnon: number | null) =>
    [
      `${pid} ${startTicks}`,
      {
        who: { kind: 'process' as const, pid, comm: '', startTicks, cgroup: null },
        sizes: { rssAnon },
        ofBoot: true,
        began: startTicks / 100,
      },
    ] as const;
  const processes = (whole: boolean, ...items: readonly ReturnType<typeof item>[]) => ({
    processes: { items: new Map(items), whole },
  });
  const kib = (bytes: number) => Math.floor(bytes / 1024);
  const FILES = {
    ...process(1, 10, 100),
    ...process(7, 20, kib(2 * GIB)),
    ...process(8, 30, kib(3 * GIB)),
    ...process(9, 110_000, kib(0.7 * GIB)),
  };

  test.each([
    ['the fastest growing, not the largest', processes(true, item(7, 20, 1), item(8, 30, 3 * GIB)), 7],
    ['a pid that another process used before', processes(true, item(7, 19, 0), item(8, 30, 3 * GIB)), 9],
    ['a process that started since the baseline', processes(true, item(7, 20, 2 * GIB), item(8, 30, 3 * GIB)), 9],
    ['no known process has half of it', processes(false, item(8, 30, 3 * GIB)), null],
    ['an unknown size', processes(true, item(7, 20, null), item(8, 30, 2.9 * GIB)), 9],
    ['without processes in the baseline', {}, null],
  ])('names the process behind growth of anonymous memory: %s', (_, lists, pid) => {
    const before = state({ anonymous: GIB, lists });
    const [growth] = changesSince(before, state({ ...LATER, anonymous: 3 * GIB }), FILES);
    expect(growth).toMatchObject({
      code: 'memory-growth',
      severity: 'note',
      figures: { category: 'anonymous', grownBytes: 2 * GIB, pid, comm: pid && `p${pid}` },
    });
  });

  test('names the fastest growing slab cache', () => {
    const cache = (name: string, bytes: number, reclaimable = false) => ({ name, bytes, reclaimable });
    const caches = [cache('filp', GIB), cache('sock', 0.9 * GIB), cache('dentry', 9 * GIB, true)];
    const items = [
      ['filp', { sizes: { bytes: 0.9 * GIB } }],
      ['dentry', { sizes: { bytes: 1 } }],
    ] as unknown as [string, Item][];
    const lists = { caches: { items: new Map(items), whole: true } };
    const [growth] = changesSince(state({ lists }), state({ ...LATER, slab: GIB }), {}, caches);
    expect(growth?.figures).toMatchObject({ cache: 'sock', ownerBytes: 0.9 * GIB, pid: null });
    expect(findingWords(growth!)).toMatch(/Largest growth: sock, 922 MiB\./);
  });

  test.each([
    ['less than 1 % of memory', { unattributed: 0.009 * 10 * GIB }],
    ['a decline', { slab: -GIB }],
    ['nothing', {}],
  ])('%s is no finding', (_, change) => {
    const before = state({ unattributed: 0, slab: GIB });
    const now = { slab: GIB + ('slab' in change ? change.slab : 0), unattributed: 0, ...change };
    expect(changesSince(before, state({ ...LATER, ...now, slab: Math.max(0, now.slab) }))).toEqual([]);
  });

  test('does not compare the memory of a different boot', () => {
    const now = state({ ...LATER, bootId: 'two', uptime: 20, unattributed: 5 * GIB });
    expect(changesSince(state({}), now)).toMatchObject([{ code: 'rebooted', figures: { uptimeSeconds: 20 } }]);
  });

  test.each([
    ['a boot id is missing, and the clock was set', { bootId: null, at: LATER.at + 3600 }],
    ['a boot id differs, although uptime and clock run on', { bootId: 'two' }],
  ])('%s: another boot is not proved', (_, change) => {
    const growing = { ...LATER, unattributed: 5 * GIB, ...change };
    expect(() => changesSince(state({}), state(growing))).toThrow(/boot/);
    expect(changesSince(state({}), state({ ...growing, uptime: 20 }))).toMatchObject([{ code: 'rebooted' }]);
  });

  test.each([300, -300])('reports a step of the clock by %i s, compared with the uptime', (step) => {
    const found = changesSince(state({}), state({ ...LATER, at: LATER.at + step }));
    expect(found).toMatchObject([{ code: 'clock-step', figures: { stepSeconds: step, seconds: 3600 } }]);
  });

  test.each([
    ['is of another host', state({ host: 'db2', bootId: null }), state({ ...LATER, bootId: null })],
    ['not older', state(LATER), state({})],
    ['categories are from kcore, not from counters', state({ depth: 'kcore' }), state(LATER)],
    ['boot of the baseline is unknown', state({ bootId: null, uptime: null }), state(LATER)],
  ])('refuses a baseline that cannot be compared: %s', (words, before, now) => {
    expect(() => changesSince(before, now)).toThrow(words);
  });
});

describe('a store of watch as baseline', () => {
  const folder = mkdtempSync(join(tmpdir(), 'baseline-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  /** A sample of a boot, in MiB. */
  function line(bootId: string, uptime: number, slab: number | null): string {
    const { machine, ...rest } = look(uptime, []);
    return formatJson(
      watchSampleLine({
        look: { ...rest, machine: { ...machine, bootId } },
        ledger: slab === null ? null : { source: 'counters', categories: new Map([['slab-unreclaimable', slab]]) },
        noCategories: slab === null ? 'denied' : null,
        noCategoriesCode: null,
        hidden: false,
        interval: 60,
        lost: 0,
      }),
    );
  }

  test.each([
    ['one', 600, 1],
    ['two', 1200, 4],
    // The memory of that boot is gone: any of its samples shows that.
    ['three', 600, 1],
  ])('is its first sample of this boot with categories: %s', async (bootId, uptime, slab) => {
    const store = join(folder, bootId);
    const lines = [
      line('one', 600, 1),
      line('one', 900, 2),
      line('two', 600, null),
      line('two', 1200, 4),
      line('two', 1500, 5),
    ];
    writeFileSync(store, `${lines.join('\n')}\n`, { mode: 0o600 });
    const origin = { at: null, host: null, bootId, uptimeSeconds: 5000 };
    const found = await readBaseline(store, origin);
    if (bootId !== 'three') expect(found.origin).toMatchObject({ bootId, uptimeSeconds: uptime });
    expect(found.origin.bootId === bootId).toBe(bootId !== 'three');
    if (bootId !== 'three')
      expect(found.memory?.tree.children).toMatchObject([{ category: 'slab-unreclaimable', bytes: slab }]);
  });

  test('refuses a store without categories', async () => {
    const store = join(folder, 'none');
    writeFileSync(store, `${line('one', 600, null)}\n`, { mode: 0o600 });
    const origin = { at: null, host: null, bootId: 'one', uptimeSeconds: 5000 };
    await expect(readBaseline(store, origin)).rejects.toThrow('no sample has a memory breakdown');
  });
});
