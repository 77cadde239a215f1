import { describe, expect, test } from 'vitest';
import { watchHtml } from '../../../src/answers/watch/html/page.js';
import { watchAnswer, watchMetrics, watchText } from '../../../src/answers/watch/render.js';
import { doubtWords } from '../../../src/answers/watch/words.js';
import { WATCH_DOUBT_CODES, watchSchema } from '../../../src/contracts/watch.js';
import { NO_TREND } from '../../../src/growth/trend.js';
import { watchedFor } from './watched.js';

const HOSTILE = '\u001b[31m<b>"\u202e';
const leak = watchedFor({ leak: 1, leaks: 'anonymous', days: 3 });
const quiet = watchedFor({});
const short = watchedFor({ days: 1 });
const FACTS = { source: 'here', version: '0', made: new Date(0) };

describe('text', () => {
  test('a leak comes first, with its rate and confidence', () => {
    const [first = ''] = watchText(leak, { width: null, limit: 20 }).split('\n');
    expect(first).toMatch(
      /^Growth over 3 days: anonymous by 1\.\d\d GiB per day \(1\.\d\d GiB to 1\.\d\d GiB\) to .*, pid 7 \(web\) by 1\./,
    );
  });

  test('"No growth" states its bound, and a day is inconclusive', () => {
    expect(watchText(quiet, { width: null, limit: 20 })).toMatch(
      /^No growth in 7 days: no category grew by more than \d+(\.\d+)? [KM]iB per day \(1,009 samples\)\./,
    );
    const words = watchText(short, { width: null, limit: 20 });
    expect(words).toMatch(/^Inconclusive after 24\.0 h and 145 samples\./);
    expect(words).toContain('The samples cover 24.0 h.');
    expect(words).not.toContain('No growth');
  });

  test('fits 80 columns, and truncates nothing in a pipe', () => {
    for (const watched of [leak, quiet, short])
      for (const line of watchText(watched, { width: 80, limit: 20 }).split('\n'))
        expect(line.length).toBeLessThanOrEqual(80);
  });

  test('escapes names', () => {
    const text = watchText(watchedFor({ leak: 1, leaks: 'anonymous', days: 3 }, HOSTILE), { width: null, limit: 20 });
    expect(text).toContain('pid 7 (\\x1b[31m<b>"\\u{202e})');
    expect(text.includes('\u001b') || text.includes('\u202e')).toBe(false);
  });

  test('every doubt has a sentence', () => {
    for (const code of WATCH_DOUBT_CODES) expect(doubtWords({ code })).toMatch(/^.{20,}[.]$/);
  });
});

describe('rings and pins', () => {
  const device = { kind: 'pinned', name: HOSTILE, leastBytes: 2 ** 20, mostBytes: 2 ** 22, ...NO_TREND } as const;
  const devices = [
    { ...device, bytes: null, process: null },
    {
      ...device,
      kind: 'trace-rings' as const,
      name: 'perf',
      bytes: 2 ** 20,
      process: { pid: 9, comm: HOSTILE, bytes: 1 },
    },
  ];
  const watched = { ...quiet, answer: { ...quiet.answer, devices, unreadDevices: ['gpu', 'dma-buf'] as const } };

  test('have a table with both bounds and the largest process, and what was not read', () => {
    const text = watchText(watched, { width: null, limit: 20 });
    expect(text).toMatch(/^RINGS, PINS AND BUFFERS .*LARGEST PROCESS\n?/m);
    expect(text).toMatch(/^pinned by \\x1b\[31m<b>"\\u\{202e\} +1\.00 MiB to 4\.00 MiB/m);
    expect(text).toMatch(/^rings of perf +1\.00 MiB .*pid 9 \(\\x1b/m);
    expect(text).toContain('Not read, or only in part: buffers of GPUs, dma-bufs.');
    expect(watchText(quiet, { width: null, limit: 20 })).not.toMatch(/RINGS|Not read/);
    for (const line of watchText(watched, { width: 80, limit: 20 }).split('\n'))
      expect(line.length).toBeLessThanOrEqual(80);
  });

  test('are in JSON, metrics and the page', () => {
    expect(watchSchema.parse(watchAnswer(watched))).toEqual(watchAnswer(watched));
    expect(watchAnswer(watched).devices).toMatchObject([{ bytes: null, course: null }, { process: { pid: 9 } }]);
    expect(watchMetrics(watched.answer, null)).toContain(
      'kdump_mem_device_bytes{kind="trace-rings",name="perf"} 1048576\n',
    );
    const page = watchHtml(watched, FACTS, 20);
    expect(page).toContain('rings of perf');
    expect(page).not.toContain('<b>"');
  });
});

test('JSON conforms to its schema and contains the verdict', () => {
  for (const watched of [leak, quiet, short])
    expect(watchSchema.parse(watchAnswer(watched))).toEqual(watchAnswer(watched));
  const json = watchAnswer(leak);
  expect(json).toMatchObject({ verdict: 'grows', doubts: [], complete: true, ended: 'stored' });
  const [category] = json.categories;
  expect(category).toMatchObject({
    category: 'anonymous',
    group: 'applications-and-files',
    course: 'grows',
    reclaimable: false,
    growth: { confidence: 0.99, samples: 433, seconds: 3 * 86_400 },
  });
  expect(category?.growth?.low).toBeLessThan(1e6 / 60);
  expect(category?.growth?.high).toBeGreaterThan(1e6 / 60);
  expect(watchAnswer(quiet)).toMatchObject({ verdict: 'nothing-grows', complete: true });
  expect(watchAnswer(short)).toMatchObject({
    verdict: 'inconclusive',
    complete: false,
    doubts: [{ code: 'too-short' }],
  });
});

describe('metrics', () => {
  test('export categories and the verdict in a bounded number of series', () => {
    const text = watchMetrics(leak.answer, { up: true, lost: 2, notStored: 1 });
    expect(text).toMatch(/^kdump_mem_watch_verdict\{verdict="grows"\} 1$/m);
    expect(text).toMatch(
      /^kdump_mem_category_growing\{group="applications-and-files",category="anonymous",reclaimable="no"\} 1$/m,
    );
    expect(text).toMatch(
      /^kdump_mem_category_growth_bytes_per_second\{group="applications-and-files",category="anonymous",bound="likely"\} 1[67]\d\d\d/m,
    );
    expect(text).toMatch(/^kdump_mem_memory_bytes\{group="kernel",category="kernel-stacks"\} 10000000$/m);
    expect(text).toMatch(/^kdump_mem_process_growth_bytes_per_second\{comm="web"/m);
    expect(text).toMatch(/^kdump_mem_watch_lost_samples_total 2$/m);
    expect(text.split('\n').length).toBeLessThan(200);
  });

  test('report the missing first sample', () => {
    const text = watchMetrics(undefined, { up: false, lost: 0, notStored: 0 });
    expect(text).toMatch(/^kdump_mem_watch_up 0$/m);
    expect(text).not.toContain('memory_bytes');
  });

  test('report no verdict after one day', () => {
    const text = watchMetrics(short.answer, null);
    expect(text).toMatch(/^kdump_mem_watch_verdict\{verdict="inconclusive"\} 1$/m);
    expect(text).toMatch(/^kdump_mem_watch_doubt\{code="too-short"\} 1$/m);
    expect(text).not.toMatch(/category_growing\{.*\} 1$/m);
    expect(text).not.toContain('watch_up');
  });
});

describe('the page', () => {
  const page = watchHtml(leak, FACTS, 20);

  test('draws all memory over time, and each category', () => {
    const polygons = [...page.matchAll(/<polygon class="([\w-]+)" points="([\d.,\- ]+)"\/>/g)];
    expect(polygons.map(([, group]) => group)).toEqual(['reserved', 'kernel', 'applications-and-files', 'free']);
    // The upper edge: always all memory.
    const [, , points = ''] = polygons[3] ?? [];
    const ys = points.split(' ').map((point) => Number(point.split(',')[1]));
    const top = ys.slice(0, ys.length / 2);
    expect(Math.max(...top)).toBeLessThan(1);
    expect([...page.matchAll(/<svg class="line"/g)].length).toBe(7);
  });

  test('has the host and the time of the last sample in its title', () => {
    const { host, at } = leak.answer.growth.machine;
    const time = at.slice(0, 19).replace('T', ' ');
    expect(page).toContain(`<title>Memory growth of ${host}, ${time} UTC</title>`);
  });

  test('leaves a time without samples blank', () => {
    const { groups, ...answer } = leak.answer;
    const cut = groups.map(({ group, points: { times, values } }) => {
      const keep = (_: number, at: number) => at < 20 || at > 40;
      return { group, points: { times: times.filter(keep), values: values.filter(keep) } };
    });
    const holed = watchHtml({ ...leak, answer: { ...answer, groups: cut } }, FACTS, 20);
    expect([...holed.matchAll(/<polygon/g)].length).toBe(8);
  });

  test('reports that one sample is too few for a chart', () => {
    const one = watchedFor({ days: 0 });
    expect(watchHtml(one, FACTS, 20)).toContain('Too few samples for a chart');
  });

  test('can be made from a store with invalid times', () => {
    const { growth } = quiet.answer;
    const far = { ...growth, machine: { ...growth.machine, uptimeSeconds: 1e300 } };
    const page = watchHtml({ ...quiet, answer: { ...quiet.answer, growth: far } }, FACTS, 20);
    expect(page).toContain('<p class="times"><span>?</span>');
  });

  test('escapes names', () => {
    const hostile = watchHtml(watchedFor({ days: 3 }, HOSTILE), FACTS, 20);
    expect(hostile).toContain('\\x1b[31m&lt;b&gt;&quot;\\u{202e}');
    expect(hostile).not.toContain('<b>');
  });
});
