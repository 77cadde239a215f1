import { expect } from 'vitest';
import { readList } from '../../src/answers/info/lists/lists.js';
import { KernelError } from '../../src/base/errors.js';
import { jsonOf } from '../../src/base/util.js';
import {
  modulesSchema,
  mountsSchema,
  runQueuesSchema,
  sharedMemorySchema,
  swapSchema,
} from '../../src/contracts/lists.js';
import type { Kernel } from '../../src/kernel/kernel.js';
import { openDescriptors } from '../../src/walk/lists/open-descriptors.js';
import { Warnings } from '../../src/walk/warnings.js';
import { memoryOf } from '../support/damaged-kernel.js';
import { drgnJson } from '../support/drgn.js';
import type { LabKernel } from '../support/lab.js';

/** The same lists from drgn. */
interface DrgnLists {
  readonly modules: readonly {
    readonly address: string;
    readonly name: string;
    readonly size: number;
    readonly text: number;
    readonly references: number;
    readonly usedBy: readonly string[];
  }[];
  readonly mounts: readonly {
    readonly address: string;
    readonly source: string;
    readonly path: string;
    readonly fsType: string;
    readonly device: string;
  }[];
  readonly queues: readonly {
    readonly cpu: number;
    readonly running: number;
    readonly current: number;
    readonly fair: readonly number[];
    readonly realtime: readonly number[];
  }[];
  readonly descriptors: readonly {
    readonly pid: number;
    readonly count: number;
    readonly kinds: Readonly<Record<string, number>>;
    readonly pipeBytes: number;
    readonly limit: number;
  }[];
  readonly swap: readonly {
    readonly path: string;
    readonly pages: number;
    readonly used: number;
    readonly priority: number;
  }[];
  readonly segments: readonly {
    readonly address: string;
    readonly id: number;
    readonly key: string;
    readonly bytes: number;
    readonly attaches: number;
    readonly creator: number;
    readonly pages: number;
  }[];
}

/** Lists of a kernel, checked against their schemas. */
export function listsOf(kernel: Kernel) {
  return {
    modules: jsonOf(modulesSchema.parse(jsonOf(readList('modules', kernel)))),
    mounts: jsonOf(mountsSchema.parse(jsonOf(readList('mounts', kernel)))),
    swap: jsonOf(swapSchema.parse(jsonOf(readList('swap', kernel)))),
    segments: jsonOf(sharedMemorySchema.parse(jsonOf(readList('shared-memory', kernel)))),
    queues: jsonOf(runQueuesSchema.parse(jsonOf(readList('run-queues', kernel)))),
  };
}

const sorted = (pids: readonly number[]) => pids.toSorted((a, b) => a - b);

/**
 * A dump can catch a CPU while it enqueues one task, which woke up (`on_rq` 0) or is moved from another CPU
 * (TASK_ON_RQ_MIGRATING, 2): it is in the queue before `nr_running` counts it (enqueue_task_fair, kernel/sched/fair.c), and
 * `on_rq` is set last (activate_task, kernel/sched/core.c). The list is then correctly incomplete. Returns the other
 * warnings.
 */
export function exceptWakeups<W extends { readonly message: string }>(warnings: readonly W[]): readonly W[] {
  const perCpu = new Set<string>();
  const others = warnings.filter(({ message }) => {
    const cpu = /^on_rq of pid \d+ is [02] on CPU (\d+), but it is on the run queue/.exec(message)?.[1];
    if (cpu === undefined || perCpu.has(cpu)) return true;
    perCpu.add(cpu);
    return false;
  });
  return others.filter(({ message }) => {
    const [, cpu = '', counted, found] =
      /^CPU (\d+): nr_running is (\d+), but (\d+) tasks are on its run queue$/.exec(message) ?? [];
    return !perCpu.has(cpu) || Number(found) !== Number(counted) + 1;
  });
}

/**
 * Compares each list of an open dump with drgn's list of the same dump.
 *
 * @param elf the dump, for drgn
 */
export function expectDrgnLists(kernel: Kernel, elf: string, version: LabKernel): DrgnLists {
  const truth = drgnJson<DrgnLists>(elf, version, new URL('./info-lists.py', import.meta.url));
  const lists = listsOf(kernel);
  for (const [name, { complete, warnings }] of Object.entries(lists)) {
    expect({ name, warnings: exceptWakeups(warnings) }).toEqual({ name, warnings: [] });
    expect({ name, complete }).toEqual({ name, complete: warnings.length === 0 });
  }
  expect(
    lists.modules.modules.map((one) => ({
      address: one.address,
      name: one.name,
      size: one.sizeBytes,
      text: one.textBytes,
      references: one.references,
      usedBy: one.usedBy.toSorted(),
    })),
  ).toEqual(truth.modules);
  expect(
    lists.mounts.mounts.map((one) => ({
      address: one.address,
      source: one.source,
      path: one.path,
      fsType: one.fsType,
      device: one.device,
    })),
  ).toEqual(truth.mounts);
  const pids = (tasks: (typeof lists.queues.cpus)[number]['tasks'], kind: string) =>
    sorted(tasks.filter((task) => task.class === kind).map(({ pid }) => pid));
  expect(
    lists.queues.cpus.map(({ cpu, running, current, tasks }) => ({
      cpu,
      running,
      current: current.pid,
      fair: pids(tasks, 'fair'),
      realtime: pids(tasks, 'realtime'),
    })),
  ).toEqual(truth.queues);
  const { pageSize } = kernel.facts;
  expect(
    lists.swap.devices.map(({ path, sizeBytes, usedBytes, usedSlotBytes, priority }) => {
      expect(usedSlotBytes).toBe(usedBytes);
      return { path, pages: sizeBytes / pageSize, used: usedBytes / pageSize, priority };
    }),
  ).toEqual(truth.swap);
  expect(
    lists.segments.segments.map((one) => ({
      address: one.address,
      id: one.id,
      key: one.key,
      bytes: one.sizeBytes,
      attaches: one.attaches,
      creator: one.creatorPid,
      pages: (one.residentBytes ?? Number.NaN) / pageSize,
    })),
  ).toEqual(truth.segments);
  const warnings = new Warnings();
  for (const { pid, count, kinds, pipeBytes, limit } of truth.descriptors) {
    const found = openDescriptors(kernel, pid, warnings);
    const group = (kind: string) => found.groups.find((one) => one.kind === kind);
    expect({ pid, count: found.count, limit: found.limit }).toEqual({ pid, count, limit });
    for (const kind of ['socket', 'pipe']) expect(group(kind)?.count ?? 0, `${kind} of ${pid}`).toBe(kinds[kind] ?? 0);
    expect(group('pipe')?.bytes ?? 0, `pipes of ${pid}`).toBe(pipeBytes);
  }
  expect(warnings.list()).toEqual([]);
  return truth;
}

/** Changes to one word, by list. */
export type ListDamage = readonly (readonly [
  list: keyof ReturnType<typeof listsOf>,
  what: string,
  address: bigint,
  bytes: number,
  change: (value: bigint) => bigint,
])[];

/** Expects that each change of a single word makes its list incomplete or unreadable. */
export function expectReported(kernel: Kernel, damage: ListDamage): void {
  const { read, set, damagedBy } = memoryOf(kernel);
  for (const [list, what, address, bytes, change] of damage) {
    const damaged = damagedBy(set(address, bytes, change(read(address, bytes))));
    try {
      const { complete, warnings } = listsOf(damaged)[list];
      expect({ list, what, complete }).toEqual({ list, what, complete: false });
      expect(warnings.length, what).toBeGreaterThan(0);
    } catch (error) {
      // A missing list is valid, too.
      if (!(error instanceof KernelError)) throw error;
      expect(error.code).toBe('damaged');
    }
  }
}
