import type { MemoryAnswer } from '../account/memory/answer.js';
import { leaves } from '../account/memory/tree.js';
import { groupedStacks } from '../account/task-stacks.js';
import type { Stack, StackGroup } from '../contracts/task-stacks.js';
import type { Kernel } from '../kernel/kernel.js';
import type { Warnings } from '../walk/warnings.js';
import { type Finding, found, type StackEvidence, severityOf } from './finding.js';
import { lockFindings } from './locks.js';
import { censusFindings } from './queued-data.js';
import { isLargePart, THRESHOLDS } from './thresholds.js';

/** Findings of the memory breakdown and the sockets. */
export function memoryFindings(answer: MemoryAnswer): Finding[] {
  const pageSize = answer.kernel?.pageSize ?? answer.host?.pageSize ?? 0;
  const { census, memory } = answer;
  const waiting = census ? censusFindings(census, memory.bytes) : [];
  const ofZones = [...shortZones(answer, pageSize), ...contradicted(answer)];
  return [...waiting, ...unattributed(answer), ...perCpu(answer), ...ofZones];
}

function* unattributed({ memory, unattributed: blocks, freeConflict }: MemoryAnswer): Generator<Finding> {
  const category = leaves(memory).find((leaf) => leaf.category === 'unattributed');
  const { leastBytes: bytes = category?.bytes ?? 0, mostBytes = null } = category?.range ?? {};
  // Counters that have bounds only prove their lower bound.
  const severity = severityOf(bytes, memory.bytes) ?? (severityOf(category?.bytes ?? 0, memory.bytes) && 'note');
  // Unattributed memory may include free memory.
  if (category === undefined || severity === undefined || freeConflict?.foundBy === 'pageflags') return;
  const [most] = (blocks?.sizes ?? []).toSorted((a, b) => b.frames - a.frames);
  const figures = {
    bytes,
    share: bytes / memory.bytes,
    ...(mostBytes === null ? {} : { mostBytes }),
    mostOrder: most?.order ?? null,
    mostBlocks: most?.blocks ?? null,
  };
  yield found('unattributed-memory', severity, figures, 'memory -v');
}

/** Per-CPU memory that is as large as slab that is a finding. */
function* perCpu({ memory }: MemoryAnswer): Generator<Finding> {
  const category = leaves(memory).find((leaf) => leaf.category === 'percpu');
  const { leastBytes: bytes = category?.bytes ?? 0 } = category?.range ?? {};
  const share = bytes / memory.bytes;
  if (!isLargePart('per-cpu-memory', bytes, share)) return;
  yield found('per-cpu-memory', 'warning', { bytes, share }, 'memory -v');
}

/** Counters that contradict what they count: tools that rely on them are wrong. */
function* contradicted({ memory, contradictions = [] }: MemoryAnswer): Generator<Finding> {
  for (const { category, foundBytes = 0, countedBytes = 0 } of contradictions) {
    const bytes = Math.abs(foundBytes - countedBytes);
    if (category === undefined || bytes < THRESHOLDS['counter-mismatch'].note) continue;
    const figures = { category, foundBytes, countedBytes, bytes, share: bytes / memory.bytes };
    yield found('counter-mismatch', severityOf(bytes, memory.bytes) ? 'warning' : 'note', figures, 'memory -v');
  }
}

/** Zones whose free blocks are below the min watermark. */
function* shortZones({ zones }: MemoryAnswer, pageSize: number): Generator<Finding> {
  for (const { node, zone, freePages, watermarks, managedPages } of zones) {
    if (freePages === null || watermarks === null || managedPages === 0 || freePages >= watermarks.min) continue;
    const figures = { node, zone, freeBytes: freePages * pageSize, minBytes: watermarks.min * pageSize };
    yield found('low-memory', 'warning', figures, 'memory --nodes');
  }
}

/** Maximum number of different stacks of blocked tasks. */
const MOST = 10;

/** Tasks in uninterruptible sleep by lock or by function, largest groups first. @throws as groupedStacks */
export function blockedTasks(kernel: Kernel, warnings: Warnings): Finding[] {
  const grouped = groupedStacks(kernel, { states: new Set(['D']) });
  for (const { code, message } of grouped.warnings) warnings.add(code, message);
  if (grouped.stacks.length === 0) return [];
  const { findings, pids } = lockFindings(kernel, warnings);
  // Frozen tasks (suspend, the freezer of cgroups) are not blocked.
  const groups = grouped.stacks
    .filter(({ frames }) => !frames.some(({ symbol }) => symbol === '__refrigerator'))
    .map((group) => ({ ...group, tasks: group.tasks.filter(({ pid }) => !pids.has(pid)) }))
    .filter(({ tasks }) => tasks.length > 0);
  return [...findings, ...byFunction(groups)];
}

function byFunction(groups: readonly StackGroup[]): Finding[] {
  const others = groups.length - MOST;
  return groups.slice(0, MOST).map((group, index) => {
    const figures = {
      tasks: group.tasks.length,
      pid: group.tasks[0]?.pid ?? null,
      comm: group.tasks[0]?.comm ?? null,
      symbol: waitsIn(group) ?? null,
      ...(others > 0 && index === MOST - 1 ? { others } : {}),
    };
    const severity = group.tasks.length >= THRESHOLDS['blocked-tasks'].warning ? 'warning' : 'note';
    return found('blocked-tasks', severity, figures, 'stacks --state D', { evidence: [evidenceOf(group)] });
  });
}

/** Stack of a CPU. @throws as groupedStacks */
export function stackOfCpu(kernel: Kernel, cpu: number, warnings: Warnings): StackEvidence | undefined {
  const { stacks, warnings: unread } = groupedStacks(kernel, { cpu });
  for (const { code, message } of unread) warnings.add(code, message);
  const [group] = stacks;
  return group && evidenceOf(group);
}

/** A stack as evidence. */
export function evidenceOf({ frames, end, why, code, at }: Stack): StackEvidence {
  return { kind: 'stack', frames, end, why, code, at };
}

/** The function that a thread waits in. */
export function waitsIn({ frames }: Pick<Stack, 'frames'>): string | undefined {
  return frames.find(({ symbol }) => symbol !== null && !isWaiting(symbol))?.symbol ?? undefined;
}

/** Whether every waiting task is in this function: its callers show what the task waits for. */
function isWaiting(name: string): boolean {
  return /^(__switch_to|__schedule|schedule|io_schedule|_{0,2}((ww_|rt_|rt_spin_)?mutex|rwsem|rwbase|rtlock|percpu_rwsem|percpu_down)_|_{0,2}down(_|\b)|preempt_schedule|_{0,2}wait_for_(completion|common)|do_wait_for_common)/.test(
    name,
  );
}
