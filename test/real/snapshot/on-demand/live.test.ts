import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Guest } from '../../../../scripts/lab-parts/guest.mjs';
import { logSchema } from '../../../../src/contracts/log.js';
import { type CategoryJson, memorySchema } from '../../../../src/contracts/memory.js';
import { processSchema } from '../../../../src/contracts/process.js';
import { type ProcsAnswer, procsSchema } from '../../../../src/contracts/procs.js';
import { fromJson, guestWithCgroups, liveJson, snapshotOf, takes } from '../guest-snapshot.js';

const AMOUNT = 16 * 2 ** 20;
/** Bytes that our own programs may change between two answers. */
const DRIFT = 96 * 2 ** 20;

// Before, from the snapshot, and after.
describe.each(['5.10', '6.12'] as const)('live answers and those of a snapshot: %s', (kernel) => {
  const folder = mkdtempSync(join(tmpdir(), 'snapshot-'));
  const file = join(folder, 'guest.tar.gz');
  let guest: Guest | undefined;
  let pid = 0;
  let [before, after]: Awaited<ReturnType<typeof looks>>[] = [];

  const looks = async (of: Guest) => ({
    procs: procsSchema.parse(await liveJson(of, 'procs --live')),
    one: processSchema.parse(await liveJson(of, `procs --live --pid ${pid}`)),
    memory: memorySchema.parse(await liveJson(of, 'memory --live --source counters')),
    log: logSchema.parse(await liveJson(of, 'log --live')),
  });

  beforeAll(async () => {
    guest = await guestWithCgroups(kernel);
    pid = await takes(guest, AMOUNT, 'lives');
    await guest.run('echo 3 > /proc/sys/vm/nr_hugepages');
    before = await looks(guest);
    const { status, said } = await snapshotOf(guest, file, { options: '--with smaps' });
    expect([status, said]).toEqual([0, expect.stringContaining('tar.gz')]);
    after = await looks(guest);
  });

  afterAll(() => {
    guest?.kill();
    rmSync(folder, { recursive: true });
  });

  test('an unchanged process has the same figures, to the byte', async () => {
    const captured = procsSchema.parse(await fromJson('procs', file));
    const of = ({ processes }: ProcsAnswer) => {
      const { ageSeconds, ...figures } = processes.find((one) => one.pid === pid) ?? {};
      return JSON.stringify(figures);
    };
    expect(of(captured)).toContain(`"cgroup":"/lives"`);
    expect(of(before!.procs)).toBe(of(after!.procs));
    expect(of(captured)).toBe(of(after!.procs));
    const { mappings } = processSchema.parse(await fromJson('procs', file, '--pid', `${pid}`));
    expect(mappings).toEqual(after!.one.mappings);
    expect(mappings).toEqual(before!.one.mappings);
  });

  test('contains all processes except our own', async () => {
    const { processes, kernelThreads } = procsSchema.parse(await fromJson('procs', file));
    const ends = before!.procs.processes.filter(
      (one) => !after!.procs.processes.some((other) => other.pid === one.pid),
    );
    const missing = before!.procs.processes.filter(
      (one) => !processes.some((other) => other.pid === one.pid) && !ends.includes(one),
    );
    expect(missing).toEqual([]);
    expect(kernelThreads).toBeGreaterThan(10);
  });

  test('memory is the same within what changed, and constant figures are the same to the byte', async () => {
    const captured = memorySchema.parse(await fromJson('memory', file));
    const [own, first, last] = [captured, before!.memory, after!.memory].map(({ memory }) => categories(memory));
    expect([...own!.keys()]).toEqual([...last!.keys()]);
    for (const [name, bytes] of own!) {
      const [low, high] = [first!.get(name) ?? 0, last!.get(name) ?? 0].toSorted((a, b) => a - b);
      expect.soft(bytes, name).toBeGreaterThanOrEqual(low! - DRIFT);
      expect.soft(bytes, name).toBeLessThanOrEqual(high! + DRIFT);
    }
    for (const name of ['reserved-other', 'hugetlb']) expect(own!.get(name)).toBe(last!.get(name));
    expect(own!.get('hugetlb')).toBe(3 * 2 ** 21);
    expect(captured.memory.bytes).toBe(after!.memory.memory.bytes);
    expect(captured.host).toEqual(after!.memory.host);
    expect(captured.zones.map(({ presentPages }) => presentPages)).toEqual(
      after!.memory.zones.map(({ presentPages }) => presentPages),
    );
  });

  test('the log matches kernel memory, message by message', async () => {
    const { messages, overwritten, warnings } = logSchema.parse(await fromJson('log', file));
    expect(warnings).toEqual([]);
    expect(messages.length).toBeGreaterThanOrEqual(before!.log.messages.length);
    const known = new Map(after!.log.messages.map((message) => [message.seq, message]));
    // The live log lacks the caller unless the kernel was built to print it.
    for (const { caller, comm, ...message } of messages) {
      const { caller: _, comm: __, text, ...kernels } = known.get(message.seq) ?? { text: undefined };
      // A snapshot leaves out the kernel's command line, which may contain secrets.
      const [, kept] = /^((?:Kernel c|C)ommand line: | {4})\(left-out\)$/.exec(message.text) ?? [];
      expect.soft(message).toEqual({ ...kernels, text: kept && text?.startsWith(kept) ? message.text : text });
    }
    expect(overwritten).toBe(after!.log.overwritten);
  });
});

function categories(root: CategoryJson): Map<string, number> {
  const all = (category: CategoryJson): [string, number][] => [
    [category.category, category.bytes],
    ...category.children.flatMap(all),
  ];
  return new Map(all(root));
}
