import { formatSize } from '../../base/size.js';
import { DEVICE_CATEGORIES, type DeviceCategory, type NamedMemory } from '../../records/named-memory.js';
import type { MemoryAnswer } from './answer.js';
import { type Category, leaves, makeCategory } from './tree.js';

/** Why a row is incomplete that rests on what drivers report. */
const WHYS: Readonly<Record<DeviceCategory, string>> = {
  gpu: 'drivers report the sizes of buffers, which may include memory that a process lent (userptr)',
  'dma-buf': 'buffers that no process has open are unknown',
  rings:
    'buffers of ftrace, rings of processes with a perf event, and BPF ring buffers that processes have open; rings of io_uring, and snapshots of ftrace, are unattributed',
  compressed: 'memory of zsmalloc, and pools of zswap that are not in it (zbud, z3fold)',
  'network-other': 'page pools only, with their pages in socket queues; other network memory is unattributed',
};

/**
 * Moves memory that drivers report, and no counter of the kernel, from unattributed memory to its rows. Rows of kernel memory
 * (/proc/kcore, dumps) have it from the kernel's own structures.
 */
export function withDevices(answer: MemoryAnswer, named: readonly NamedMemory[]): MemoryAnswer {
  if (answer.source !== 'counters' && answer.source !== 'pageflags') return answer;
  const pageSize = answer.host?.pageSize ?? 4096;
  let rest = leaves(answer.memory).find(({ category }) => category === 'unattributed')?.bytes ?? 0;
  const rows = new Map<string, (leaf: Category) => Category>();
  let [moved, movedMost] = [0, 0];
  for (const category of DEVICE_CATEGORIES) {
    const parts = named.filter((memory) => memory.category === category);
    const sum = parts.reduce((all, part) => all + movedBytes(part), 0);
    const bytes = category === 'gpu' ? sum - countedTwice(named, parts) : sum;
    if (bytes === 0) continue;
    const taken = Math.min(bytes, rest);
    const isKnown = category === 'compressed' || parts.every(({ figures }) => figures.mostBytes != null);
    const most = isKnown ? parts.reduce((sum, part) => sum + (part.figures.mostBytes ?? movedBytes(part)), 0) : rest;
    const excess = bytes - taken;
    const isWhole = isKnown && (category === 'dma-buf' || category === 'compressed') && excess === 0;
    const beyond = excess === 0 ? '' : `; ${formatSize(excess)} of it is in other rows`;
    rest -= taken;
    moved += taken;
    movedMost += Math.max(taken, most);
    rows.set(category, (leaf) =>
      makeCategory({
        ...leaf,
        bytes: leaf.bytes + taken,
        frames: leaf.frames + Math.round(taken / pageSize),
        known: 'counter',
        complete: isWhole,
        why: isWhole ? null : `${WHYS[category]}${beyond}`,
        range: leaf.range && { leastBytes: leaf.bytes + taken, mostBytes: leaf.bytes + Math.max(taken, most) },
      }),
    );
  }
  if (moved === 0) return answer;
  rows.set('unattributed', (leaf) => ({
    ...leaf,
    bytes: leaf.bytes - moved,
    frames: leaf.frames - Math.round(moved / pageSize),
    range: leaf.range && {
      leastBytes: Math.max(0, leaf.range.leastBytes - movedMost),
      mostBytes: Math.max(0, leaf.range.mostBytes - moved),
    },
  }));
  const changed = (category: Category): Category => {
    const row = rows.get(category.category)?.(category) ?? category;
    return { ...row, children: row.children.map(changed) };
  };
  return { ...answer, memory: changed(answer.memory) };
}

/** Buffers that several GPUs report, or that are dma-bufs too: of what each of them shares, only the largest is certain. */
function countedTwice(named: readonly NamedMemory[], gpus: readonly NamedMemory[]): number {
  const shared = gpus.map(({ figures }) => figures.sharedBytes ?? 0);
  const [all, largest] = [shared.reduce((sum, bytes) => sum + bytes, 0), Math.max(0, ...shared)];
  const inBuffers = named.reduce((sum, memory) => sum + (memory.category === 'dma-buf' ? movedBytes(memory) : 0), 0);
  return all - Math.max(0, largest - inBuffers);
}

/** The part that is in no counter. */
function movedBytes({ category, bytes, figures }: NamedMemory): number {
  return (category === 'compressed' ? figures.unmarkedBytes : bytes) ?? 0;
}
