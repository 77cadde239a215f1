import { damaged } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { pointerPartOf, readOrNot } from '../named-read.js';
import { numberedNodes } from '../pages/vm-counters.js';
import { StructReader } from '../struct-reader.js';

/**
 * Whether the multi-gen LRU is enabled, whose pages have no PG_active; undefined: unknown. The first member of the first
 * static key of `lru_gen_caps` (LRU_GEN_CORE, include/linux/mmzone.h) is its count of users.
 *
 * @throws {KernelError} `damaged` if the lists of the root memory cgroup say otherwise
 */
export function usesGenerations(kernel: Kernel): boolean | undefined {
  if (!kernel.struct('lruvec')?.member('lrugen')) return false;
  const caps = kernel.symbol('lru_gen_caps');
  if (caps === undefined) return undefined;
  const users = readOrNot(() => kernel.read(caps, 4).getInt32(0, true));
  if (users === undefined) return undefined;
  const enabled = kernel.facts.live ? undefined : enabledInRoot(kernel);
  if (enabled === undefined || enabled === users) return users > 0;
  throw damaged(`the multi-gen LRU has ${users} users, but ${enabled} is what its lists say`);
}

/** `lruvec.lrugen.enabled` of the first node; the lists of the node itself stay as they were at boot. */
function enabledInRoot(kernel: Kernel): number | undefined {
  const group = StructReader.ifPresent(kernel, 'mem_cgroup', ['nodeinfo']);
  const lists = StructReader.ifPresent(kernel, 'mem_cgroup_per_node', ['lruvec']);
  const own = StructReader.ifPresent(kernel, 'lruvec', ['lrugen.enabled']);
  const root = kernel.symbol('root_mem_cgroup');
  const [node] = numberedNodes(kernel);
  if (!group || !lists || !own || root === undefined || !node) return undefined;
  return readOrNot(() => {
    const address = pointerPartOf(kernel, 'root_mem_cgroup', root, root);
    const slot = group.addressOf(address, 'nodeinfo') + BigInt(8 * node.number);
    const info = pointerPartOf(kernel, 'struct mem_cgroup', address, slot);
    return own.read(lists.addressOf(info, 'lruvec')).number('lrugen.enabled');
  });
}
