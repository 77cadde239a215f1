import type { MemoryAnswer } from '../../account/memory/answer.js';
import { DEPENDS_ON_FREE } from '../../account/memory/proc-counters.js';
import type { Category } from '../../account/memory/tree.js';
import { formatMetric, gauge, type Labels, type Metric, type Series } from '../text/prometheus.js';

/**
 * Returns the answer in the Prometheus text format (0.0.4), also for node_exporter's textfile collector. The
 * number of series is bounded, and labels do not change with each process: owners are identified by command,
 * cache or caller, not by pid.
 */
export function memoryMetrics(answer: MemoryAnswer): string {
  const leaves = answer.memory.children.flatMap((group) =>
    group.children.map((category) => ({ group: group.category, category })),
  );
  const isContradicted = ({ category }: Category) => answer.freeConflict !== null && DEPENDS_ON_FREE.has(category);
  const counted = leaves.filter(({ category }) => category.counterBytes !== null);
  const metrics = [
    categoryBytes(
      // An unknown category has no series: 0 would be a measurement.
      leaves
        .filter(({ category }) => (category.bytes > 0 || category.complete) && !isContradicted(category))
        .map(({ group, category: { category, bytes } }) => ({ group, category, bytes })),
    ),
    gauge(
      'kdump_mem_memory_kernel_bytes',
      'The kernel’s own counter of the category.',
      counted.map(({ category }) => [{ category: category.category }, category.counterBytes ?? 0]),
    ),
    gauge(
      'kdump_mem_memory_category_complete',
      '1 if the category is complete, 0 if its bytes are a lower bound.',
      leaves.map(({ category }) => [{ category: category.category }, category.complete ? 1 : 0]),
    ),
    gauge(
      'kdump_mem_memory_owner_bytes',
      'The largest known owners of each category.',
      leaves.flatMap(({ category }) => ownersOf(category)),
    ),
    sourceMetric(answer.source),
    gauge('kdump_mem_memory_drift_bytes', 'Change of the kernel’s counters during the scan.', [
      [{}, answer.driftBytes],
    ]),
    gauge('kdump_mem_memory_complete', '1 if the memory breakdown is complete, 0 otherwise.', [
      [{}, answer.complete ? 1 : 0],
    ]),
  ];
  return metrics.map(formatMetric).join('').trimEnd();
}

/** Returns the bytes of each category. */
export function categoryBytes(
  categories: readonly { readonly group: string; readonly category: string; readonly bytes: number }[],
): Metric {
  return gauge(
    'kdump_mem_memory_bytes',
    'Memory by category; every page frame is in exactly one.',
    categories.map(({ group, category, bytes }) => [{ group, category }, bytes]),
  );
}

export function sourceMetric(source: string): Metric {
  return gauge('kdump_mem_memory_source', 'Source of the memory breakdown (docs/memory.md).', [[{ source }, 1]]);
}

/** Merges owners of the same kind and name into one series. */
function ownersOf({ category, owners }: Category): Series[] {
  const sums = new Map<string, [Labels, number]>();
  for (const { kind, name, bytes } of owners) {
    const key = `${kind} ${name}`;
    const [labels, sum] = sums.get(key) ?? [{ category, kind, name }, 0];
    sums.set(key, [labels, sum + bytes]);
  }
  return [...sums.values()];
}
