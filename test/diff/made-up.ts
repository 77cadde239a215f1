import type { Origin } from '../../src/contracts/common.js';
import type { CategoryState, HostState, Item, Listing } from '../../src/diff/state.js';

export const MIB = 1 << 20;
const START = Date.UTC(2026, 10, 20, 10, 2);

/** One boot of one host, this many seconds after the first time. */
export function originAt(seconds: number, other: Partial<Origin> = {}): Origin {
  const at = new Date(START + seconds * 1000).toISOString();
  return { at, host: 'node7', bootId: 'b00t', uptimeSeconds: 5000 + seconds, ...other };
}

/** Leaves in MiB, each in its group; free memory is the rest of 1,000 MiB. */
export function treeOf(leaves: Readonly<Record<string, number>>, total = 1000): CategoryState {
  const groupOf = (category: string) =>
    ['anonymous', 'page-cache'].includes(category) ? 'applications-and-files' : 'kernel';
  const leaf = (category: string, mib: number): CategoryState => ({ category, bytes: mib * MIB, children: [] });
  const used = Object.values(leaves).reduce((sum, mib) => sum + mib, 0);
  const group = (category: string, children: readonly CategoryState[]): CategoryState => ({
    category,
    children,
    bytes: children.reduce((sum, { bytes }) => sum + bytes, 0),
  });
  const of = (name: string) =>
    Object.entries(leaves).flatMap(([category, mib]) => (groupOf(category) === name ? [leaf(category, mib)] : []));
  return group('memory', [
    group('free', [leaf('free-buddy', total - used)]),
    group('applications-and-files', of('applications-and-files')),
    group('kernel', of('kernel')),
  ]);
}

export function stateOf(seconds: number, other: Partial<HostState> = {}): HostState {
  return {
    name: `${seconds}.json`,
    origin: originAt(seconds),
    release: '6.1.0',
    pageSize: 4096,
    memory: null,
    lists: {},
    flaws: [],
    ...other,
  };
}

export function memoryAt(
  seconds: number,
  leaves: Readonly<Record<string, number>>,
  other: Partial<HostState> = {},
): HostState {
  return stateOf(seconds, { memory: { depth: 'kcore', tree: treeOf(leaves), drift: 0 }, ...other });
}

export function processItem(
  pid: number,
  startTicks: number,
  sizes: { readonly pss: number | null; readonly rss?: number | null },
  comm = 'worker',
): readonly [string, Item] {
  return [
    `${pid} ${startTicks}`,
    {
      who: { kind: 'process', pid, comm, startTicks, cgroup: null },
      sizes: { rss: null, ...sizes },
      ofBoot: true,
      began: startTicks / 100,
    },
  ];
}

export function listing(items: Iterable<readonly [string, Item]>, whole = true): Listing {
  return { items: new Map(items), whole };
}
