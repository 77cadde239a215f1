import { damaged } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { needSymbol } from '../cpus.js';
import { listNodes } from '../list.js';
import { readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';

/** What the current grace period of RCU still waits for. */
export interface GracePeriodReaders {
  /** CPUs that have not reported a quiescent state. */
  readonly cpus: readonly number[];
  /** Addresses of tasks that were switched out in a read-side critical section (CONFIG_PREEMPT_RCU). */
  readonly tasks: readonly bigint[];
}

/** RCU_SEQ_STATE_MASK (kernel/rcu/rcu.h): the state of a grace period, 0 if none runs. */
const STATE = 3n;
const MASK_BITS = 64;

/**
 * Reads the tree of `rcu_state` (kernel/rcu/tree.h): each leaf has a bit for each of its CPUs.
 *
 * @returns undefined: no grace period runs
 * @throws {KernelError} `no-symbols`, `unsupported-layout`, `damaged`; {@link ReadError}
 */
export function gracePeriodReaders(kernel: Kernel): GracePeriodReaders | undefined {
  const address = needSymbol(kernel, 'rcu_state');
  const state = new StructReader(kernel, 'rcu_state', ['gp_seq']);
  const tree = new StructReader(kernel, 'rcu_state', ['node']);
  const node = new StructReader(kernel, 'rcu_node', [
    ...(['gp_seq', 'qsmask', 'grplo', 'level', 'blkd_tasks', 'gp_tasks'] as const),
  ]);
  const task = StructReader.ifPresent(kernel, 'task_struct', ['rcu_node_entry']);
  const period = state.read(address).pointer('gp_seq');
  if ((period & STATE) === 0n) return undefined;
  const int = (name: string) => {
    const at = needSymbol(kernel, name);
    return readPartOf(kernel, name, at, at, 4).getInt32(0, true);
  };
  const [nodes, levels] = [int('rcu_num_nodes'), int('rcu_num_lvls')];
  if (nodes < 1 || nodes * node.size > tree.members.node.size)
    throw damaged(`rcu_num_nodes is ${nodes}`);
  const found = { cpus: [] as number[], tasks: [] as bigint[] };
  for (let index = 0; index < nodes; index++) {
    const leaf = node.read(node.element(tree.addressOf(address, 'node'), index));
    // A node that has not begun this grace period has bits of the last one.
    if (leaf.number('level') !== levels - 1 || leaf.pointer('gp_seq') >> 2n !== period >> 2n)
      continue;
    const mask = leaf.pointer('qsmask');
    for (let bit = 0; bit < MASK_BITS; bit++)
      if ((mask >> BigInt(bit)) & 1n) found.cpus.push(leaf.number('grplo') + bit);
    // Tasks before the first one do not hold this grace period.
    let holds = false;
    const first = leaf.pointer('gp_tasks');
    if (first === 0n || !task) continue;
    for (const entry of listNodes(kernel, leaf.addressOf('blkd_tasks'))) {
      holds ||= entry === first;
      if (holds) found.tasks.push(task.containerOf(entry, 'rcu_node_entry'));
    }
    if (!holds) throw damaged('gp_tasks of an rcu_node is not on its list of tasks');
  }
  return found;
}
