import { groupedStacks, type StackGroup } from '../account/task-stacks.js';
import type { Kernel } from '../kernel/kernel.js';
import type { Warnings } from '../walk/warnings.js';
import type { Finding, StackEvidence } from './finding.js';

/** Maximum number of different stacks of blocked tasks. */
const MOST = 10;

/** So many tasks in one place do not wait for a disk: they wait for each other. */
const CROWD = 8;

/** Tasks that wait and cannot be interrupted, by what they wait in; most together first. @throws as groupedStacks */
export function blockedTasks(kernel: Kernel, warnings: Warnings): Finding[] {
  const found = groupedStacks(kernel, { states: new Set(['D']) });
  for (const { code, message } of found.warnings) warnings.add(code, message);
  // Who was frozen (suspend, the freezer of cgroups) waits for nobody.
  const groups = found.groups.filter(
    ({ frames }) => !frames.some(({ symbol }) => symbol?.name === '__refrigerator'),
  );
  const others = groups.length - MOST;
  return groups.slice(0, MOST).map((group, index) => ({
    code: 'blocked-tasks',
    severity: group.tasks.length >= CROWD ? 'warning' : 'note',
    figures: {
      tasks: group.tasks.length,
      pid: group.tasks[0]?.pid ?? null,
      comm: group.tasks[0]?.comm ?? null,
      symbol: waitsIn(group) ?? null,
      ...(others > 0 && index === MOST - 1 ? { others } : {}),
    },
    evidence: [evidenceOf(group)],
    next: 'stacks --state D',
  }));
}

/** What a CPU was doing. @throws as groupedStacks */
export function stackOfCpu(
  kernel: Kernel,
  cpu: number,
  warnings: Warnings,
): StackEvidence | undefined {
  const { groups, warnings: told } = groupedStacks(kernel, { cpu });
  for (const { code, message } of told) warnings.add(code, message);
  const [group] = groups;
  return group && evidenceOf(group);
}

/** A stack as evidence. */
export function evidenceOf({ frames, end, why, stop }: StackGroup): StackEvidence {
  return { kind: 'stack', frames, end, why, ...(stop === undefined ? {} : { stop }) };
}

/** The function that a thread waits in. */
export function waitsIn({ frames }: Pick<StackGroup, 'frames'>): string | undefined {
  return frames.find(({ symbol }) => symbol && !isWaiting(symbol.name))?.symbol?.name;
}

/** Where every task that waits is; what called these says for what. */
function isWaiting(name: string): boolean {
  return /^(__switch_to|__schedule|schedule|io_schedule|_{0,2}((ww_|rt_|rt_spin_)?mutex|rwsem|rwbase|rtlock|percpu_rwsem|percpu_down)_|_{0,2}down(_|\b)|preempt_schedule|_{0,2}wait_for_(completion|common)|do_wait_for_common)/.test(
    name,
  );
}
