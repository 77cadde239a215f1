import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { memorySchema } from '../../../src/contracts/memory.js';
import { kdumpMem } from '../../support/in-process.js';
import { labDump, labKdump, ofRun } from '../../support/lab.js';
import { metricTools } from '../../support/metric-tools.js';

const { elf, truth } = labDump('6.1');

/** Runs a command that was printed to be copied. */
const printed = (line: string) => kdumpMem(...line.split(' ').slice(2));

const last = (text: string) => text.trimEnd().split('\n').at(-1) ?? '';

test('three commands lead from the machine to the socket, each naming the next', async () => {
  const memory = await kdumpMem('memory', '--vmcore', elf);
  expect(memory.stdout).toMatch(/^In this dump, memory is not short: \d+ MiB of 511 MiB is free /);
  expect(last(memory.stdout)).toMatch(/^Next: kdump-mem /);
  const sockets = await kdumpMem('sockets', '--by', 'process', '--vmcore', elf);
  expect(last(sockets.stdout)).toMatch(/^Next: kdump-mem skb --pid \d+ --vmcore /);
  const skb = await printed(last(sockets.stdout));
  expect(skb.status).toBe(0);
  const stuffed = truth.roles.find(({ name }) => name.includes('stuffed'));
  expect(skb.stdout).toContain(`pid ${stuffed?.pid} (stuffed)`);
});

test('the suggested next command works as printed', async () => {
  const { stdout } = await kdumpMem('memory', '--vmcore', elf);
  const next = await printed(last(stdout));
  expect(next.status).toBe(0);
  expect(next.stdout).not.toBe('');
});

test('text, JSON and metrics agree', async () => {
  const json = memorySchema.parse(JSON.parse((await kdumpMem('memory', '--json', '--vmcore', elf)).stdout));
  const metrics = (await kdumpMem('memory', '--prometheus', '--vmcore', elf)).stdout;
  const checked = spawnSync(join(metricTools(), 'promtool'), ['check', 'metrics'], {
    input: metrics,
    encoding: 'utf8',
  });
  expect(checked).toMatchObject({ status: 0, stdout: '', stderr: '' });
  const leaves = json.memory.children.flatMap(({ children }) => children);
  expect(leaves.length).toBeGreaterThan(25);
  for (const { category, bytes } of leaves)
    expect(metrics).toMatch(new RegExp(`^kdump_mem_memory_bytes\\{.*category="${category}"\\} ${bytes}$`, 'm'));
});

test('--caches lists slab caches, largest first, with wasted memory', async () => {
  const { stdout } = await kdumpMem('memory', '--caches', '--limit', '3', '--vmcore', elf);
  expect(stdout.split('\n')[0]).toMatch(
    /^\d+ slab caches: [\d.]+ MiB \([\d.]+ % of memory\)\. Largest cache: \S+, [\d.]+ MiB\.$/,
  );
  expect(stdout.split('\n')[2]).toMatch(/^CACHE +BYTES +SLABS +OBJECTS +SLOTS +OBJECT SIZE +WASTE +RECLAIMABLE$/);
  // Three rows, then what these caches are.
  expect(stdout.split('\n').slice(3).indexOf('')).toBe(3);
  expect(stdout).toMatch(/\nOBJECTS: in use; .* WASTE: bytes of the cache that allocated objects do not use: .*$/m);
  expect(stdout).toMatch(/^\d+ more: --limit N lists them$/m);
});

// makedumpfile filters out pages of slab caches that are in use.
test.each(ofRun(['newest-kdump']))('%s reports incomplete categories, with status 5 for --strict', async () => {
  const [file] = labKdump('newest').formats['lzo-d31'];
  const { stdout, stderr, status } = await kdumpMem('memory', '--strict', '--vmcore', file ?? '');
  expect(status).toBe(5);
  expect(stdout).toContain('Incomplete: ');
  expect(stdout).toContain('unattributed');
  expect(stderr).toContain('filtered out of the dump');
});
