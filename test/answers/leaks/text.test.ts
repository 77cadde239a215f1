import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { leaksFolded, leaksPprof, leaksSpeedscope } from '../../../src/answers/leaks/profiles.js';
import { leaksText } from '../../../src/answers/leaks/text.js';
import { columnsOf } from '../../../src/answers/text/cut.js';
import { jsonOf } from '../../../src/base/util.js';
import { leaksSchema } from '../../../src/contracts/leaks.js';
import { leaksAnswer } from '../../../src/leaks/answer.js';
import { noLookup } from '../../../src/leaks/survivors/lookup.js';
import { made } from '../../leaks/made-recording.js';
import { recordedStarver, SITES, starver } from './answer.js';
import { fieldsOf, packed, textOf } from './wire.js';

test('the allocation site, the amount and the socket that holds it come first', () => {
  const text = leaksText(starver(), { limit: 20, width: null });
  expect(text.split('\n\n')[0]).toBe(
    'Leak in receive_mergeable [virtio_net] ← virtnet_poll [virtio_net]: 100 order-3 blocks (3.13 MiB) in 10 min. 98 of them are unread in 1 socket: pid 4711 (ngi\\x1bnx) fd 11.',
  );
  const rows = text.split('\n\n')[1]!.split('\n');
  expect(rows[1]).toMatch(
    /^leaking +3\.13 MiB +100 +5 min +\+320 KiB +\+320 KiB +\+320 KiB +queued, unread +sockets 98 %, unreferenced 2 % +receive_mergeable/,
  );
  expect(rows[2]).toMatch(/^growing +400 KiB .* reclaimable +page cache 100 %/);
  expect(rows[3]).toMatch(/^transient .* growth slows /);
  expect(text).toContain('Source: tracefs events, 10 min, 10 windows.');
});

test('reports the bounds of an estimate from samples', () => {
  const answer = starver({ sample: { oneIn: 64, mask: 0x1f8n, residue: 8n } });
  const text = leaksText(answer, { limit: 20, width: null });
  expect(text).toContain('HELD MIN');
  expect(text).toContain('one page frame in 64. HELD is an estimate');
});

test('reports the confidence of the growth interval', () => {
  const of = (values: readonly number[]) =>
    leaksText(leaksAnswer(made(SITES, { rx: values }), noLookup('from-file')), { limit: 20, width: null });
  // Three rates all lie on one side of the median with a probability of 2 in 8.
  expect(of([1, 2, 3, 4])).toContain('RATE/MIN is between LOW and HIGH with 75 % confidence.');
  expect(of([1, 2, 3, 4, 5, 6, 7])).toContain('RATE/MIN is between LOW and HIGH with 96 % confidence.');
  expect(of([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])).toContain('between LOW and HIGH with 99 % confidence.');
  expect(of([1, 2])).not.toContain('LOW and HIGH');
});

test('fits 80 columns', () => {
  for (const width of [80, 100, 132])
    for (const line of leaksText(starver(), { limit: 20, width }).split('\n'))
      expect(columnsOf(line)).toBeLessThanOrEqual(width);
});

test('the way to confirm a leak comes before the table, and no column is empty', () => {
  const answer = leaksAnswer(recordedStarver(), noLookup('from-file'));
  const [, second, table] = leaksText(answer, { limit: 20, width: null }).split('\n\n');
  expect(second).toBe(
    'This input cannot confirm a leak: it does not show whether the blocks are still in use. To confirm, run on that machine as root (/proc/kcore required): kdump-mem leaks',
  );
  expect(table).not.toContain('HELD BY');
});

test('reports the number of omitted stacks', () => {
  expect(leaksText(starver(), { limit: 1, width: null })).toContain('2 more stacks: --limit N lists them.');
});

test('reports "No leak" only if that is known', () => {
  const of = (values: readonly number[], more = {}) =>
    leaksText(leaksAnswer(made(SITES, { rx: values }, more), noLookup('from-file')), { limit: 20, width: null }).split(
      '\n',
    )[0];
  expect(of([4096, 8192])).toBe(
    'Inconclusive after 2 min: 1 unknown. Growth needs at least three windows: record with --windows 3, or give --from at least four copies.',
  );
  expect(of([4096, 8192, 12288, 16384])).toMatch(
    /^Possible leaks, none confirmed, after 4 min: 1 growing\. Largest growth in receive_mergeable .*: 4 blocks \(16\.0 KiB\) in 4 min\.$/,
  );
  const all = { unseen: { allocated: 10, traced: 10, low: 10, high: 10 } };
  expect(of([8192, 8192, 8192, 8192], all)).toBe('No leak after 4 min: no stack grows steadily.');
  expect(of([], all)).toBe('No leak: every allocation of these 0 s was freed.');
  const sampled = { ...all, sample: { oneIn: 64, mask: 63n, residue: 1n } };
  expect(of([], sampled)).toBe(
    'No leak: every allocation of these 0 s was freed. The sample may miss a leak of fewer than 249 blocks; --sample 1/1 follows every block.',
  );
  expect(of([4096, 8192, 12288, 16384], sampled)).toMatch(/: 1 unknown\. Too few blocks in the sample/);
});

test('reports no all-clear for an incomplete recording', () => {
  const of = (values: readonly number[], more: object) =>
    leaksText(leaksAnswer(made(SITES, { rx: values }, more), noLookup('from-file')), { limit: 20, width: null }).split(
      '\n',
    )[0];
  const losses = { overrun: 0, unknownFrees: 0, missedFrees: 0, withoutStack: 0, dropped: 0 };
  const nothing = { allocated: 10, traced: 10, low: 10, high: 10 };
  const cost = { share: 0, budget: null, events: 0, offeredPerSecond: 0 };
  const tracing = {
    ...cost,
    lateEvents: 0,
    orphansRemoved: [],
    leftBehind: [],
    settingsChanged: [],
    unmatchedEvents: 0,
  };
  expect(of([8192, 8192, 8192, 8192], { unseen: nothing, tracing })).toBe(
    'No leak after 4 min: no stack grows steadily.',
  );
  for (const more of [
    { unseen: null },
    { losses: { ...losses, overrun: 1 } },
    { losses: { ...losses, dropped: 1 } },
    { unseen: { allocated: 900, traced: 100, low: 90, high: 110 } },
    { gaps: [{ code: 'truncated', source: '/proc/allocinfo', count: 1 }] },
    { unseen: nothing, tracing: { ...tracing, settingsChanged: ['/x/tracing_on'] } },
    { unseen: nothing, tracing: { ...tracing, unmatchedEvents: 1 } },
  ]) {
    expect(of([8192, 8192, 8192, 8192], more)).toBe(
      'Inconclusive after 4 min: no recorded stack grows, but the recording is incomplete.',
    );
    expect(of([], more)).toMatch(
      /^Inconclusive after 0 s: no recorded allocation is still held, but the recording is incomplete/,
    );
  }
});

test('JSON conforms to its schema and is complete', () => {
  const json = leaksSchema.parse(jsonOf(starver()));
  expect(json.sites.map(({ verdict }) => verdict)).toEqual(['leaking', 'growing', 'transient']);
  expect(json.sites[0]).toMatchObject({
    reason: 'queued',
    bytes: 3_276_800,
    lowBytes: 3_276_800,
    blocks: 100,
    survivors: { blocks: 100, order: 3, thirds: [34, 33, 33] },
  });
  expect(json.sites[0]?.survivors?.sockets).toEqual([
    {
      sock: 0xffff_8880_0123_4000n,
      inode: 4242,
      protocol: 'TCP',
      local: '10.0.2.15:9000',
      peer: '10.0.2.2:41180',
      localAddress: '10.0.2.15',
      localPort: 9000,
      peerAddress: '10.0.2.2',
      peerPort: 41180,
      holders: [{ pid: 4711, comm: 'ngi\x1bnx', fd: 11 }],
      blocks: 98,
      bytes: 98 * 32_768,
    },
  ]);
  expect(json).toMatchObject({ complete: true, warnings: [], omitted: 0, lookedUpBy: 'kcore' });
  const file = leaksAnswer(recordedStarver(), noLookup('from-file'));
  expect(leaksSchema.parse(jsonOf(file))).toMatchObject({ complete: false, lookedUp: 0 });
});

test('folded stacks start with the outermost function, and escape separators in names', () => {
  expect(leaksFolded(starver())).toEqual([
    '__do_softirq;virtnet_poll [virtio_net];receive_mergeable [virtio_net];__alloc_pages 3276800',
    'ext4\\x3bread;filemap_alloc_folio;folio_alloc 409600',
    'mm_init;pgd_alloc;__get_free_pages 40960',
  ]);
});

test('the speedscope file weights stacks by held bytes', () => {
  const file = leaksSpeedscope(starver(), '1.2.3') as {
    shared: { frames: { name: string }[] };
    profiles: { samples: number[][]; weights: number[]; endValue: number }[];
  };
  const [profile] = file.profiles;
  expect(profile?.weights).toEqual([3_276_800, 409_600, 40_960]);
  expect(profile?.endValue).toBe(3_727_360);
  const names = profile?.samples.map((sample) => sample.map((at) => file.shared.frames[at]?.name));
  expect(names?.[2]).toEqual(['mm_init', 'pgd_alloc', '__get_free_pages']);
});

test('pprof reads stacks, bytes and blocks, in protocol buffer wire format', () => {
  const profile = fieldsOf(gunzipSync(leaksPprof(starver())));
  const strings = (profile.get(6) ?? []).map(textOf);
  expect(strings[0]).toBe('');
  const at = (value: unknown) => strings[Number(value)];
  const types = (profile.get(1) ?? []).map((bytes) => {
    const type = fieldsOf(bytes as Buffer);
    return [at(type.get(1)?.[0]), at(type.get(2)?.[0])];
  });
  expect(types).toEqual([
    ['inuse_objects', 'count'],
    ['inuse_space', 'bytes'],
  ]);
  const functions = new Map(
    (profile.get(5) ?? []).map((bytes) => {
      const one = fieldsOf(bytes as Buffer);
      return [one.get(1)?.[0], at(one.get(2)?.[0])];
    }),
  );
  const locations = new Map(
    (profile.get(4) ?? []).map((bytes) => {
      const one = fieldsOf(bytes as Buffer);
      const line = fieldsOf(one.get(4)?.[0] as Buffer);
      return [one.get(1)?.[0], functions.get(line.get(1)?.[0])];
    }),
  );
  const samples = (profile.get(2) ?? []).map((bytes) => {
    const one = fieldsOf(bytes as Buffer);
    return { stack: packed(one.get(1)).map((id) => locations.get(id)), values: packed(one.get(2)) };
  });
  expect(samples).toEqual([
    {
      stack: ['__alloc_pages', 'receive_mergeable [virtio_net]', 'virtnet_poll [virtio_net]', '__do_softirq'],
      values: [100n, 3_276_800n],
    },
    { stack: ['folio_alloc', 'filemap_alloc_folio', 'ext4;read'], values: [100n, 409_600n] },
    { stack: ['__get_free_pages', 'pgd_alloc', 'mm_init'], values: [10n, 40_960n] },
  ]);
});
