import { KernelError } from '../../kernel/error.js';
import type { Drawer, MemoryAnswer } from './answer.js';
import { DRAWERS, type DrawerName, drawerFacts } from './drawers.js';
import { GROUPS } from './tree.js';

/** What a machine's own counters say of its memory; bytes. */
export interface CountedMemory {
  readonly release: string;
  readonly pageSize: number;
  readonly present: number;
  readonly managed: number;
  readonly onCpus: number;
  /** /proc/meminfo, by name. */
  readonly meminfo: ReadonlyMap<string, number>;
  readonly huge: number | undefined;
  readonly compressed: number | undefined;
}

const NO_COUNTER = 'no counter tells of it: it is among what nothing explains';
const AT_BOOT = 'no counter tells of it: it is among what was set aside at boot';

/** Drawers that lie in memory that the buddy allocator never got. */
const BOOT: ReadonlySet<DrawerName> = new Set(['image', 'memmap', 'crash-kernel']);

/**
 * Where the memory is as far as counters tell, for who cannot look at page frames. What no counter tells
 * of is the rest, so the rows sum to the whole here too; but where counters overlap, it is too small.
 *
 * @throws {KernelError} `damaged` if the counters add up to more than there is
 */
export function countedMemory(counted: CountedMemory): MemoryAnswer {
  const { present, managed, pageSize } = counted;
  const known = countsOf(counted);
  for (const [drawer, bytes] of known) {
    if (bytes >= 0) continue;
    throw new KernelError('damaged', `the counters of /proc leave ${bytes} bytes for ${drawer}`);
  }
  // What the buddy allocator got; zones say the same, but for guests whose memory was changed.
  const total = counted.meminfo.get('MemTotal') ?? managed;
  const boot = present - total;
  if (boot < 0) {
    const message = `/proc says ${total} bytes of memory, and zones have ${present}`;
    throw new KernelError('damaged', message);
  }
  const sum = [...known.values()].reduce((all, bytes) => all + bytes, 0);
  const rest = total - sum;
  if (rest < 0) {
    const message = `the counters of /proc add up to ${-rest} bytes more than the machine has`;
    throw new KernelError('damaged', message);
  }
  const swapped = (known.get('swap-cache') ?? 0) > 0;
  const leaf = (drawer: DrawerName): Drawer => {
    const bytes =
      drawer === 'set-aside' ? boot : drawer === 'unexplained' ? rest : known.get(drawer);
    const both = swapped && (drawer === 'anonymous' || drawer === 'swap-cache');
    const differs = drawer === 'set-aside' && total !== managed;
    const why = both
      ? 'pages that are mapped and in the swap cache count as both'
      : differs
        ? `MemTotal is ${total} bytes, and zones say ${managed}`
        : bytes === undefined
          ? BOOT.has(drawer)
            ? AT_BOOT
            : NO_COUNTER
          : undefined;
    return {
      drawer,
      frames: Math.round((bytes ?? 0) / pageSize),
      bytes: bytes ?? 0,
      known: 'counter',
      counterBytes: bytes ?? null,
      owners: [],
      children: [],
      // Frames that cannot be read are for who reads frames.
      complete: why === undefined || drawer === 'unread',
      ...(why === undefined || drawer === 'unread' ? {} : { why }),
      elsewhere: [],
    };
  };
  const parent = (drawer: Drawer['drawer'], children: readonly Drawer[]): Drawer => ({
    drawer,
    frames: children.reduce((all, child) => all + child.frames, 0),
    bytes: children.reduce((all, child) => all + child.bytes, 0),
    known: 'counter',
    counterBytes: null,
    owners: [],
    children,
    complete: children.every(({ complete }) => complete),
    elsewhere: [],
  });
  return {
    kernel: undefined,
    host: { release: counted.release, pageSize },
    source: 'counters',
    memory: parent(
      'memory',
      GROUPS.map((group) =>
        parent(group, DRAWERS.filter((drawer) => drawerFacts(drawer).group === group).map(leaf)),
      ),
    ),
    ...{
      loose: undefined,
      census: undefined,
      queues: [],
      drift: 0,
      caches: [],
      callers: [],
      zones: [],
    },
    warnings: [],
    complete: false,
  };
}

/** Bytes of drawers that /proc counts, with what its counters have in common taken apart. */
function countsOf({ meminfo, onCpus, huge, compressed }: CountedMemory): Map<DrawerName, number> {
  const counts = new Map<DrawerName, number>();
  const set = (drawer: DrawerName, bytes: number | undefined) => {
    if (bytes !== undefined) counts.set(drawer, bytes);
  };
  const of = (name: string) => meminfo.get(name);
  set('free-buddy', of('MemFree'));
  set('free-cpu-lists', onCpus);
  // A kernel that does not show it has none.
  set('free-unaccepted', of('Unaccepted') ?? 0);
  set('anonymous', of('AnonPages'));
  set('shared', of('Shmem'));
  set('swap-cache', of('SwapCached'));
  const cached = of('Cached');
  // Shared memory is among it.
  if (cached !== undefined) set('page-cache', cached + (of('Buffers') ?? 0) - (of('Shmem') ?? 0));
  set('hugetlb', huge);
  set('slab-reclaimable', of('SReclaimable'));
  set('slab-unreclaimable', of('SUnreclaim'));
  const tables = of('PageTables');
  if (tables !== undefined) set('page-tables', tables + (of('SecPageTables') ?? 0));
  set('kernel-stacks', of('KernelStack'));
  const mapped = of('VmallocUsed');
  // Stacks lie in vmalloc's address space.
  if (mapped !== undefined) set('vmalloc', mapped - (of('KernelStack') ?? 0));
  set('percpu', of('Percpu'));
  set('compressed', compressed);
  set('balloon', of('Balloon') ?? 0);
  return counts;
}
