import { expect, test } from 'vitest';
import type { Category } from '../src/account/memory/tree.js';
import { formatSize } from '../src/base/size.js';
import { memorySchema } from '../src/contracts/memory.js';
import { procsSchema } from '../src/contracts/procs.js';
import { triageSchema } from '../src/contracts/triage.js';
import { textOf } from './support/documents.js';
import { incident } from './support/fixtures.js';
import { kdumpMem } from './support/in-process.js';

const { vmcore, truth } = incident();
const { drgn, slabBytes, tcpMemBytes } = truth;

async function answerOf(...words: readonly string[]): Promise<unknown> {
  const { stdout, stderr, status } = await kdumpMem(...words, '--json', '--vmcore', vmcore);
  expect([stderr, status]).toEqual(['', 0]);
  return JSON.parse(stdout);
}

test('triage names the worker, with drgn’s figures and the memory in no kernel counter', async () => {
  const { findings, causes, conclusion, complete, warnings } = triageSchema.parse(await answerOf('triage'));
  expect([complete, warnings]).toEqual([true, []]);
  const found = (code: string) => findings.filter((finding) => finding.code === code);
  // The task that runs when memory is exhausted is rarely the one that holds it.
  expect(found('panic').map(({ next }) => next)).toEqual(['memory']);
  const { pid, comm, skbs, payloadBytes, pinnedBytes } = drgn;
  // drgn counts the listener, which has no data.
  const sockets = drgn.sockets - 1;
  expect(found('queued-data-of-process').map(({ figures }) => figures)).toEqual([
    expect.objectContaining({ pid, comm, sockets, skbs, payloadBytes, pinnedBytes }),
  ]);
  const stalled = found('stalled-reader').map(({ figures }) => figures.pid);
  expect(stalled).toEqual(Array(sockets).fill(pid));
  const links = causes.map(({ effect, cause }) => [findings[effect]?.code, findings[cause]?.code]);
  expect(links).toEqual([
    ['panic', 'oom-kill'],
    ['oom-kill', 'queued-data-of-process'],
    ['queued-data-of-process', 'stalled-reader'],
    ['low-memory', 'queued-data-of-process'],
  ]);
  // The largest process is innocent, and named as one to check.
  expect(conclusion).toMatchObject({
    confidence: 'likely',
    cause: findings.findIndex(({ code }) => code === 'queued-data-of-process'),
    figures: { bytes: pinnedBytes, largestComm: 'nightly-batch' },
  });
  expect(conclusion?.words).toContain(`pid ${pid} (${comm})`);
  // The OOM report does not include the memory that they pin, except the part in slab.
  const [oom] = found('oom-kill');
  expect(Number(oom?.figures.unattributedBytes)).toBeGreaterThan(0.95 * pinnedBytes);
  expect(Number(oom?.figures.unattributedBytes)).toBeLessThan(1.15 * pinnedBytes);
  expect(pinnedBytes).toBeGreaterThan(15 * tcpMemBytes);
});

test('only what follows from a finding is indented below it, not a part of it', async () => {
  const { stdout } = await kdumpMem('triage', '--vmcore', vmcore);
  const findings = stdout.split('\n').filter((line) => /^ *(CRITICAL|WARNING|NOTE) /.test(line));
  const depths = findings.map((line) => [/\[(.*)\]/.exec(line)?.[1], line.search(/\S/)]);
  expect(depths).toEqual([
    ['queued-data-of-process', 0],
    ['oom-kill', 2],
    ['panic', 4],
    ['low-memory', 2],
    ['stalled-reader', 0],
  ]);
});

test('pages begin with the conclusion, large figures and the chain of causes', async () => {
  const pageOf = async (command: string) => (await kdumpMem(command, '--vmcore', vmcore, '--html', '-')).stdout;
  const [triage, memory] = await Promise.all([pageOf('triage'), pageOf('memory')]);
  const size = formatSize(drgn.pinnedBytes);
  const before = triage.slice(0, triage.indexOf('<h2>Findings</h2>'));
  const chain = /<nav [^>]*>(.*?)<\/nav>/s.exec(before)?.[1] ?? '';
  const depths = [...chain.matchAll(/<ul>|<\/ul>|<a href="#finding-\d+">([^<:]*)/g)];
  let depth = 0;
  const links = depths.flatMap(([tag, name]) => {
    if (name === undefined) depth += tag === '<ul>' ? 1 : -1;
    return name === undefined ? [] : [[depth, name]];
  });
  expect(links).toEqual([
    [1, 'Memory pinned by sockets'],
    [2, 'Out of memory'],
    [3, 'Kernel panic'],
    [2, 'Low memory'],
  ]);
  for (const page of [before, memory])
    expect(page.replace(/<\/?(div|dl|dt|dd)[^>]*>/g, ' ').replace(/\s+/g, ' ')).toMatch(
      / total 511 MiB free 7\.43 MiB unattributed 1\.02 MiB largest owner: pid 231 \(nightly-batch\) 269 MiB /,
    );
  // Sockets of a process are one box, divided.
  const box = /<li [^>]*class="kernel named"(.*?)<div class="label">(.*?)<\/div>/s.exec(memory);
  expect(new Set(box?.[1]?.match(/>fd \d+</g)).size).toBe(drgn.sockets - 1);
  expect(box?.[2]).toContain(`pid ${drgn.pid} (${drgn.comm})`);
  expect(box?.[2]).toContain(`${size}, ${drgn.sockets - 1} sockets`);
});

test('the kernel counters in README are those of the guest', () => {
  expect(textOf('README.md')).toContain(
    `figure for TCP was ${formatSize(tcpMemBytes)}, slab was ${formatSize(slabBytes)}, and`,
  );
});

test('memory puts every page frame into one category, and the worker’s into sockets', async () => {
  const { memory, complete } = memorySchema.parse(await answerOf('memory'));
  expect(complete).toBe(true);
  const sums = (category: Pick<Category, 'bytes' | 'children'>): void => {
    if (category.children.length === 0) return;
    expect(category.children.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(category.bytes);
    category.children.forEach(sums);
  };
  sums(memory as Category);
  const leaves = (category: Category): Category[] =>
    category.children.length === 0 ? [category] : category.children.flatMap(leaves);
  const queues = leaves(memory as Category).find(({ category }) => category === 'network-sockets');
  // Without the skbs themselves, which are in slab.
  expect(queues?.bytes).toBeGreaterThan(0.99 * drgn.pinnedBytes);
  expect(queues?.bytes).toBeLessThanOrEqual(drgn.pinnedBytes);
  expect(queues?.owners[0]).toMatchObject({ kind: 'process', pid: drgn.pid, name: drgn.comm });
  // The kernel printed its own counters a moment earlier.
  const { findings } = triageSchema.parse(await answerOf('triage'));
  const printed = findings.find(({ code }) => code === 'oom-kill')?.figures ?? {};
  const bytes = (...categories: readonly string[]) =>
    leaves(memory as Category)
      .filter(({ category }) => categories.includes(category))
      .reduce((sum, one) => sum + one.bytes, 0);
  expect(bytes('shared')).toBe(printed.sharedBytes);
  const anonymous = bytes('anonymous', 'shared') - Number(printed.anonBytes);
  expect(Math.abs(anonymous)).toBeLessThan(32 * 4096);
  expect(Math.abs(bytes('free-buddy', 'free-cpu-lists') - Number(printed.freeBytes))).toBeLessThan(2 ** 19);
});

test('procs lists the worker second: killing it frees almost only memory outside its own', async () => {
  const { processes, complete } = procsSchema.parse(await answerOf('procs'));
  expect(complete).toBe(true);
  const worker = processes[1];
  expect(worker).toMatchObject({ pid: drgn.pid, networkPinnedBytes: drgn.pinnedBytes });
  expect(worker?.rssBytes).toBeLessThan(2 ** 19);
});

test.each([
  ['skb', '--pid', `${drgn.pid}`],
  ['sockets'],
  ['stacks'],
  ['stacks', '--pid', `${drgn.pid}`],
  ['log'],
  ['info'],
  ['memory', '--caches'],
  ['memory', '--vmalloc'],
  ['memory', '--nodes'],
  ['memory', '--cgroups'],
  ['procs', '--pid', '185'],
])('%s has a complete answer for this dump', async (...words) => {
  const answer = await answerOf(...words);
  expect(answer).not.toMatchObject({ complete: false });
});
