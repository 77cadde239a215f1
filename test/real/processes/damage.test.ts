import { expect, test } from 'vitest';
import { accountMemory } from '../../../src/account/memory/memory.js';
import { kernelProcesses } from '../../../src/account/processes/kernel.js';
import type { UserPages } from '../../../src/kernel/kernel.js';
import { needSymbol, perCpuAddress } from '../../../src/walk/cpus.js';
import { FreeLists, zones } from '../../../src/walk/memory/zones.js';
import { addressSpaces } from '../../../src/walk/processes/address-spaces.js';
import { findInPidNamespace } from '../../../src/walk/processes/process-facts.js';
import { type Damage, kernelWith } from '../../support/damaged-kernel.js';
import { dumpKernel, pagesOnly } from '../../support/opened-kernel.js';

const { kernel, addressOf, read, set, add, lose, damagedBy } = dumpKernel('6.1');
const spaces = addressSpaces(kernel);
const sleeper = spaces.find(({ running }) => !running)!;
const pid = sleeper.processes[0]?.pid;
const answerWith = (...damages: Damage[]) => kernelProcesses(damagedBy(...damages));
/** A frame of its anonymous memory. */
let anonymous = 0;
kernel.userPages(
  sleeper.pgd,
  pagesOnly((_page, _pages, frame) => {
    if ((read(kernel.pages.pageOfFrame(frame), 'page.mapping') & 3n) === 1n) anonymous = frame;
  }),
);
const messages = ({ warnings }: ReturnType<typeof answerWith>) => warnings.map(({ message }) => message).join('\n');

test('a complete dump has all figures, and PSS counts each page once', () => {
  const { processes, complete, warnings } = kernelProcesses(kernel);
  expect(warnings).toEqual([]);
  expect(complete).toBe(true);
  const frames = new Set<number>();
  for (const { pgd } of spaces)
    kernel.userPages(
      pgd,
      pagesOnly((_page, pages, frame) => {
        for (let index = 0; index < pages; index++) frames.add(frame + index);
      }),
    );
  const pss = processes.reduce((sum, process) => sum + (process.pssBytes ?? Number.NaN), 0);
  expect(Math.abs(pss / 4096 - frames.size)).toBeLessThan(1);
});

test('free memory that contradicts itself is no verdict', () => {
  expect(kernelProcesses(kernel).machine?.freeBytes).toBeGreaterThan(0);
  const [block] = FreeLists.of(kernel)!.blocks;
  const order = add(kernel.pages.pageOfFrame(block!.frame), 'page.private', 1n);
  const { complete, machine } = answerWith(order);
  expect({ complete, machine }).toEqual({ complete: false, machine: undefined });
  // Per-CPU lists that are lost would be counted as none.
  const [zone] = zones(kernel);
  expect(answerWith(lose(zone!.address, 'zone.per_cpu_pageset')).machine).toBeUndefined();
  // Where a CPU stopped amid a change of its list, the rest of the answer stands.
  const pcp = perCpuAddress(kernel, read(zone!.address, 'zone.per_cpu_pageset'), 0);
  const amid = answerWith(add(pcp, 'per_cpu_pages.count', -1n));
  expect({ complete: amid.complete, machine: amid.machine }).toEqual({ complete: true, machine: undefined });
  expect(amid.processes).toHaveLength(spaces.length);
});

test('a process without its mm_struct is not listed, and all shares are unknown', () => {
  const answer = kernelProcesses(damagedBy(lose(sleeper.mm, 'mm_struct.pgd')));
  expect(messages(answer)).toContain(`pid ${pid} is not listed`);
  expect(answer.complete).toBe(false);
  expect(answer.omitted).toBe(1);
  expect(answer.processes.length).toBe(spaces.length - 1);
  for (const { rssBytes: rss, pssBytes: pss, ussBytes: uss, freedIfKilledBytes: freed, complete } of answer.processes) {
    expect({ pss, uss, freed, complete }).toEqual({ pss: null, uss: null, freed: null, complete: false });
    expect(rss).toBeGreaterThan(0);
  }
});

// MM_FILEPAGES, MM_ANONPAGES, MM_SWAPENTS, MM_SHMEMPAGES.
test.each([
  [2, 1n],
  [2, 1_000_000n],
  [1, 1n],
  [1, -1n],
  [0, 1n],
  [3, -1n],
])('reports that counter %i of its pages is off by %i', (index, by) => {
  const answer = answerWith(add(addressOf(sleeper.mm, 'mm_struct.rss_stat') + BigInt(8 * index), 8, by));
  expect(messages(answer)).toContain(`pid ${pid} counts`);
  expect(answer.complete).toBe(false);
  expect(answer.processes.find((process) => process.pid === pid)?.complete).toBe(false);
});

// On arm64 the type of a swap entry is at a place that depends on the kernel.
/** The anonymous page of the process has another entry, or none. */
const withoutPage = (damaged: typeof kernel, instead: (page: number, visitor: UserPages) => void) =>
  kernelWith(damaged, {
    userPages: (pgd, visitor) =>
      kernel.userPages(pgd, {
        ...visitor,
        page: (page, pages, frame, marks) => {
          if (pgd === sleeper.pgd && frame === anonymous) instead(page, visitor);
          else visitor.page(page, pages, frame, marks);
        },
      }),
  });
const moreCounted = () => {
  const counters = addressOf(sleeper.mm, 'mm_struct.rss_stat');
  return [0n, 8n, 24n].map((index) => add(counters + index, 8, 2n));
};
const DIFFERS = /counts \d+ .*, but its page tables/;

// On arm64 the place of the type in a swap entry depends on the kernel.
test('a page that may be migrating counts as mapped, but a page more does not', () => {
  const migrating = (damaged: typeof kernel) => withoutPage(damaged, (page, visitor) => visitor.absent(page, 1, -1, 0));
  expect(messages(kernelProcesses(migrating(kernel)))).not.toMatch(DIFFERS);
  expect(messages(kernelProcesses(migrating(damagedBy(...moreCounted()))))).toMatch(DIFFERS);
});

test('a page that a task was unmapping when the dump was taken is no contradiction, if it is locked', () => {
  const unmapping = (...damages: Damage[]) => withoutPage(damagedBy(...damages), () => {});
  const page = kernel.pages.pageOfFrame(anonymous);
  const locked = set(page, 'page.flags', read(page, 'page.flags') | 1n);
  for (const answer of [kernelProcesses, accountMemory]) {
    const warnings = (...damages: Damage[]) =>
      answer(unmapping(...damages))
        .warnings.map(({ message }) => message)
        .join('\n');
    expect(warnings(locked)).toBe('');
    expect(warnings()).toMatch(DIFFERS);
    expect(warnings()).toContain('1 pages have fewer mappings than their _mapcount');
    expect(warnings(locked, ...moreCounted())).toMatch(DIFFERS);
  }
});

test('reports an impossible count of swapped pages of a running process', () => {
  const queue = perCpuAddress(kernel, needSymbol(kernel, 'runqueues'), 0);
  const runs = set(queue, 'rq.curr', sleeper.processes[0]!.address);
  const swapped = addressOf(sleeper.mm, 'mm_struct.rss_stat') + 16n;
  expect(messages(answerWith(runs, add(swapped, 8, 1n)))).not.toContain('in swap');
  const answer = answerWith(runs, add(swapped, 8, 1_000_000n));
  expect(messages(answer)).toContain('counts 1000000 pages in swap, but its page tables have 0');
});

test('procs and memory both report a page with a wrong mapcount', () => {
  const page = kernel.pages.pageOfFrame(anonymous);
  for (const [by, message] of [
    [1, '1 pages have fewer mappings than their _mapcount'],
    [-1, '1 pages have more mappings than their _mapcount'],
  ] as const) {
    const damaged = damagedBy(add(page, 'page._mapcount', by));
    for (const answer of [kernelProcesses(damaged), accountMemory(damaged)]) {
      expect(answer.warnings.map((warning) => warning.message).join('\n')).toContain(message);
      expect(answer.complete).toBe(false);
    }
  }
});

test('reports pages of an address space without a process by their mappings', () => {
  const gone = ['mm', 'active_mm'].map((path) => set(task, `task_struct.${path}`, 0n));
  const answer = answerWith(...gone);
  expect(messages(answer)).toContain('which belongs to no known process');
  expect(answer.complete).toBe(false);
});

test('an address space during teardown or execve belongs to no process', () => {
  const owner = read(sleeper.mm, 'mm_struct.owner');
  const gone = ['mm', 'active_mm'].map((path) => set(task, `task_struct.${path}`, 0n));
  const exiting = set(owner, 'task_struct.flags', read(owner, 'task_struct.flags') | 4n);
  for (const passing of [set(sleeper.mm, 'mm_struct.mm_users.counter', 0n), exiting])
    expect(messages(answerWith(...gone, passing))).not.toContain('fewer mappings');
});

test('reports a pid that its struct pid does not confirm', () => {
  const answer = answerWith(add(read(task, 'task_struct.thread_pid'), 'pid.numbers', 1n));
  expect(messages(answer)).toContain(`pid ${pid} is ${(pid ?? 0) + 1} in its struct pid`);
  expect(answer.complete).toBe(false);
});

test('a process with overridden credentials keeps its own uid', () => {
  // Like override_creds, which overlayfs calls with the uid of the mounter: here of no user at all.
  const other = answerWith(set(task, 'task_struct.cred', 0n));
  expect(other.warnings).toEqual([]);
  expect(other.processes.find((process) => process.pid === pid)?.uid).toBe(0);
});

const task = sleeper.processes[0]?.address ?? 0n;
const signal = read(task, 'task_struct.signal');
const cred = read(task, 'task_struct.real_cred');
const cssSet = read(task, 'task_struct.cgroups');
const group = read(cssSet, 'css_set.dfl_cgrp');
const node = read(group, 'cgroup.kn');

test.each<[string, Damage, string]>([
  ['uid', set(cred, 'cred.uid', 77n), `pid ${pid} has uid 77`],
  ['threads', set(signal, 'signal_struct.nr_threads', 9n), 'counts 9 threads'],
  ['oom_score_adj', set(signal, 'signal_struct.oom_score_adj', 1001n), 'an oom_score_adj of 1001'],
  ['locked pages', set(sleeper.mm, 'mm_struct.locked_vm', 2n ** 63n), 'locked pages, and it has'],
  [
    'locked pages without a locked mapping',
    set(sleeper.mm, 'mm_struct.locked_vm', 1n),
    'it counts 1 locked pages, and its mappings lock 0',
  ],
  [
    'pinned pages',
    set(sleeper.mm, 'mm_struct.pinned_vm', 2n ** 32n),
    'it counts 4294967296 pinned pages (pinned_vm), but the machine has',
  ],
  ['a negative number of pinned pages', set(sleeper.mm, 'mm_struct.pinned_vm', 2n ** 63n), 'pinned pages (pinned_vm)'],
  ['its css_set', add(task, 'task_struct.cgroups', 8n), 'has the css_set'],
  ['its cgroup', add(cssSet, 'css_set.dfl_cgrp', 8n), 'is not linked to it'],
  ['the kernfs node of its cgroup', add(group, 'cgroup.kn', 8n), 'has the kernfs node'],
  ['the owner of that node', add(node, 'kernfs_node.priv', 8n), 'has the kernfs node'],
  ['the parent of its cgroup', add(group, 'cgroup.self.parent', 8n), 'has a parent'],
  ['its start time', add(task, 'task_struct.start_boottime', -1_000_000_000n), 'began'],
  ['the other clock', add(task, 'task_struct.start_time', 1_000_000_000n), 'began'],
])('reports what contradicts a second fact about a process: %s', (_, patch, message) => {
  const answer = answerWith(patch);
  expect(messages(answer)).toContain(message);
  expect(answer.complete).toBe(false);
});

test.each([
  ['xtime_sec', 1n],
  ['wall_to_monotonic.tv_sec', -1n],
  ['wall_to_monotonic.tv_nsec', 1n],
  ['offs_boot', 1_000_000_000n],
  ['offs_real', 1n],
  ['tkr_mono.base', 1n],
  ['tkr_mono.shift', 1n],
  ['monotonic_to_boot.tv_sec', 1n],
])('a clock with a wrong %s gives no age', (member, by) => {
  const answer = answerWith(add('shadow_timekeeper', `timekeeper.${member}`, by));
  expect(messages(answer)).toContain('the kernel’s clock: timekeeper contains no valid time');
  expect(answer.complete).toBe(false);
  expect(answer.processes.every(({ ageSeconds }) => ageSeconds === null)).toBe(true);
});

// PROC_PID_INIT_INO (include/linux/proc_ns.h).
const FIRST = 0xeffffffc;

test('a pid of the first namespace is the machine’s; levels that contradict it are reported', () => {
  expect(findInPidNamespace(kernel, { namespace: FIRST, pid: pid! })).toBe(pid);
  const wrong = damagedBy(set('init_pid_ns', 'pid_namespace.level', 1n));
  expect(() => findInPidNamespace(wrong, { namespace: FIRST, pid: pid! })).toThrow(
    /namespaces of pid \d+ contradict each other/,
  );
});

test('a swap entry of two processes is freed by neither of them alone', () => {
  const [one, other] = spaces.filter(({ running }) => !running);
  const own = new Map([
    [one?.pgd, [7, 9]],
    [other?.pgd, [9]],
  ]);
  const swapping = (entries: typeof own) =>
    kernelWith(damagedBy(set('nr_swapfiles', 4, 1n)), {
      userPages: (pgd, visitor) => {
        kernel.userPages(pgd, visitor);
        for (const offset of entries.get(pgd) ?? []) visitor.absent(offset, 1, 0, offset);
      },
    });
  const freed = (entries: typeof own) =>
    kernelProcesses(swapping(entries)).processes.map((process) => process.freedIfKilledBytes ?? Number.NaN);
  const [before, after] = [freed(new Map()), freed(own)];
  const more = after.map((bytes, index) => bytes - (before[index] ?? 0));
  expect(more.filter((bytes) => bytes !== 0)).toEqual([4096]);
  expect(more[spaces.findIndex(({ pgd }) => pgd === one?.pgd)]).toBe(4096);
});
