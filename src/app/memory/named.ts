import type { MemoryAnswer } from '../../account/memory/answer.js';
import { withDevices } from '../../account/memory/devices.js';
import type { Category, Owner } from '../../account/memory/tree.js';
import type { HostSource } from '../../host/host-source.js';
import { type NamedFacts, type NamedSources, possibleRows, readNamedMemory } from '../../host/proc/named-memory.js';
import { readPerfRings } from '../../host/proc/rings.js';
import type { NamedMemory } from '../../records/named-memory.js';

/** Kinds whose parts are owners in the row of their category: no page is in two of them. */
const OWNERS: ReadonlySet<NamedMemory['kind']> = new Set([
  'balloon',
  'zram',
  'zswap',
  'gpu',
  'dma-buf',
  'page-pools',
  'trace-rings',
]);

/** Adds huge page pools, balloons, devices and caches that sources beside /proc/meminfo name. */
export function withNamed(
  answer: MemoryAnswer,
  host: HostSource,
  { named: all, notRead }: NamedSources = readNamedMemory(host, factsOf(answer)),
): MemoryAnswer {
  // Page frames of such a pool have no mark: they are unattributed, or movable.
  const isCounted = answer.source === 'counters' || answer.source === 'pageflags';
  const named = all.map((memory) =>
    memory.figures.unmarkedBytes && !isCounted ? { ...memory, category: null } : memory,
  );
  const withOwners = (category: Category): Category => {
    const owners = named.flatMap((memory) =>
      memory.category === category.category && OWNERS.has(memory.kind) ? ownersOf(memory) : [],
    );
    const children = category.children.map(withOwners);
    // One of another time may exceed its row; walks of kernel memory know its owners.
    const fits = owners.reduce((sum, { bytes }) => sum + bytes, 0) <= category.bytes;
    const isBetter = owners.length > 0 && fits && (category.known !== 'walked' || category.owners.length === 0);
    return { ...category, children, owners: isBetter ? owners : category.owners };
  };
  const moved = withDevices(answer, named);
  return { ...moved, memory: withOwners(moved.memory), named, notRead };
}

/** The processes that map rings of perf, or the device. */
function ownersOf({ kind, name, bytes, processes }: NamedMemory): Owner[] {
  if (kind === 'trace-rings' && processes)
    return processes.map((process) => ({
      kind: 'process',
      name: process.comm ?? '?',
      pid: process.pid,
      bytes: process.bytes,
    }));
  return bytes !== null && bytes > 0 ? [{ kind: 'device', name, bytes }] : [];
}

const factsOf = (answer: MemoryAnswer): NamedFacts => ({
  meminfo: answer.counted ?? new Map(),
  present: answer.memory.bytes,
  ...answer.otherCounters,
});

/** The same of this machine, with rings of perf, which take the mmap_lock of their processes. */
export async function withLiveNamed(
  answer: MemoryAnswer,
  host: HostSource,
  facts: NamedFacts = factsOf(answer),
): Promise<MemoryAnswer> {
  const sources = readNamedMemory(host, facts);
  const rings = await readPerfRings(host, sources.perf, sources.otherPins, sources.notRead);
  return withNamed(answer, host, {
    ...sources,
    named: [...sources.named, ...possibleRows(rings, facts, sources.notRead)],
  });
}
