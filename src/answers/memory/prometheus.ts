import type { MemoryAnswer } from '../../account/memory/answer.js';
import type { Category } from '../../account/memory/category.js';
import { DEPENDS_ON_FREE } from '../../account/memory/free-conflict.js';
import { formatMetric, gauge, type Labels, type Metric, type Series } from '../text/prometheus.js';

/**
 * The answer in Prometheus' text format (0.0.4), also for node_exporter's textfile collector. The number of
 * series has a bound whatever the machine does, and no label changes with each process: owners are named by
 * command, cache or caller, not by pid.
 */
export function memoryMetrics(answer: MemoryAnswer): string {
  const leaves = answer.memory.children.flatMap((group) =>
    group.children.map((category) => ({ group: group.category, category })),
  );
  const isContradicted = ({ category }: Category) =>
    answer.freeConflict !== undefined && DEPENDS_ON_FREE.has(category);
  const counted = leaves.filter(({ category }) => category.counterBytes !== null);
  const metrics = [
    categoryBytes(
      // Of what nothing is known 0 would be a figure.
      leaves
        .filter(
          ({ category }) => (category.bytes > 0 || category.complete) && !isContradicted(category),
        )
        .map(({ group, category: { category, bytes } }) => ({ group, category, bytes })),
    ),
    gauge(
      'kdump_mem_memory_kernel_bytes',
      'What the kernel’s own counter says of the same category.',
      counted.map(({ category }) => [{ category: category.category }, category.counterBytes ?? 0]),
    ),
    gauge(
      'kdump_mem_memory_category_complete',
      '0: not all that belongs into the category was found.',
      leaves.map(({ category }) => [{ category: category.category }, category.complete ? 1 : 0]),
    ),
    gauge(
      'kdump_mem_memory_owner_bytes',
      'The largest owners of each category that are known.',
      leaves.flatMap(({ category }) => ownersOf(category)),
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

/** What each category has. */
export function categoryBytes(
  categories: readonly {
    readonly group: string;
    readonly category: string;
    readonly bytes: number;
  }[],
): Metric {
  return gauge(
    'kdump_mem_memory_bytes',
    'Where the memory is: every page frame is in exactly one category.',
    categories.map(({ group, category, bytes }) => [{ group, category }, bytes]),
  );
}

export function sourceMetric(source: string): Metric {
  return gauge('kdump_mem_memory_source', 'What tells of it: docs/memory.md.', [[{ source }, 1]]);
}

/** Owners of one name together: a series has its labels once. */
function ownersOf({ category, owners }: Category): Series[] {
  const sums = new Map<string, [Labels, number]>();
  for (const { kind, name, bytes } of owners) {
    const key = `${kind} ${name}`;
    const [labels, sum] = sums.get(key) ?? [{ category, kind, name }, 0];
    sums.set(key, [labels, sum + bytes]);
  }
  return [...sums.values()];
}
