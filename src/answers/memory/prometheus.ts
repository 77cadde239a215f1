import type { MemoryAnswer } from '../../account/memory/answer.js';
import type { Drawer } from '../../account/memory/drawer.js';
import { DEPENDS_ON_FREE } from '../../account/memory/free-conflict.js';
import { formatMetric, gauge, type Labels, type Metric, type Series } from '../text/prometheus.js';

/**
 * The answer in Prometheus' text format (0.0.4), also for node_exporter's textfile collector. The number of
 * series has a bound whatever the machine does, and no label changes with each process: owners are named by
 * command, cache or caller, not by pid.
 */
export function memoryMetrics(answer: MemoryAnswer): string {
  const leaves = answer.memory.children.flatMap((group) =>
    group.children.map((drawer) => ({ group: group.drawer, drawer })),
  );
  const isContradicted = ({ drawer }: Drawer) =>
    answer.freeConflict !== undefined && DEPENDS_ON_FREE.has(drawer);
  const counted = leaves.filter(({ drawer }) => drawer.counterBytes !== null);
  const metrics = [
    drawerBytes(
      // Of what nothing is known 0 would be a figure.
      leaves
        .filter(({ drawer }) => (drawer.bytes > 0 || drawer.complete) && !isContradicted(drawer))
        .map(({ group, drawer: { drawer, bytes } }) => ({ group, drawer, bytes })),
    ),
    gauge(
      'kdump_mem_memory_kernel_bytes',
      'What the kernel’s own counter says of the same drawer.',
      counted.map(({ drawer }) => [{ drawer: drawer.drawer }, drawer.counterBytes ?? 0]),
    ),
    gauge(
      'kdump_mem_memory_drawer_complete',
      '0: not all that belongs into the drawer was found.',
      leaves.map(({ drawer }) => [{ drawer: drawer.drawer }, drawer.complete ? 1 : 0]),
    ),
    gauge(
      'kdump_mem_memory_owner_bytes',
      'The largest owners of each drawer that are known.',
      leaves.flatMap(({ drawer }) => ownersOf(drawer)),
    ),
    sourceMetric(answer.source),
    gauge('kdump_mem_memory_drift_bytes', 'By how much counters changed during the look.', [
      [{}, answer.drift],
    ]),
    gauge('kdump_mem_memory_complete', '0: something could not be looked at.', [
      [{}, answer.complete ? 1 : 0],
    ]),
  ];
  return metrics.map(formatMetric).join('').trimEnd();
}

/** What each drawer has. */
export function drawerBytes(
  drawers: readonly { readonly group: string; readonly drawer: string; readonly bytes: number }[],
): Metric {
  return gauge(
    'kdump_mem_memory_bytes',
    'Where the memory is: every page frame is in exactly one drawer.',
    drawers.map(({ group, drawer, bytes }) => [{ group, drawer }, bytes]),
  );
}

export function sourceMetric(source: string): Metric {
  return gauge('kdump_mem_memory_source', 'What tells of it: docs/memory.md.', [[{ source }, 1]]);
}

/** Owners of one name together: a series has its labels once. */
function ownersOf({ drawer, owners }: Drawer): Series[] {
  const sums = new Map<string, [Labels, number]>();
  for (const { kind, name, bytes } of owners) {
    const key = `${kind} ${name}`;
    const [labels, sum] = sums.get(key) ?? [{ drawer, kind, name }, 0];
    sums.set(key, [labels, sum + bytes]);
  }
  return [...sums.values()];
}
