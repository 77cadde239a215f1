import { expect } from 'vitest';
import { KernelError, ReadError } from '../../../src/base/errors.js';
import type { NativeKernel } from '../../../src/kernel/native/kernel.js';
import { cpuMask, cpusThatRan, perCpuAddress, runningTask } from '../../../src/walk/cpus.js';
import { type GracePeriodReaders, gracePeriodReaders } from '../../../src/walk/waits/grace-period.js';
import { memoryOf, type Part, type Place } from '../../support/damaged-kernel.js';

/** Members of the RCU tree that the walk reads, and those of each CPU and each reader. */
const MEMBERS = {
  rcu_state: ['gp_seq', 'gp_state'],
  rcu_node: [
    'gp_seq',
    'qsmask',
    'qsmaskinit',
    'grpmask',
    'grplo',
    'grphi',
    'level',
    'parent',
    'blkd_tasks.next',
    'blkd_tasks.prev',
    'gp_tasks',
  ],
  rcu_data: ['gp_seq', 'cpu_no_qs.b.norm', 'core_needs_qs', 'mynode', 'grpmask', 'dynticks.counter'],
  context_tracking: ['state.counter'],
  task_struct: ['rcu_node_entry.next', 'rcu_node_entry.prev', 'rcu_blocked_node'],
} as const;

/**
 * Replaces each word of the RCU tree, of the CPUs and of the readers with other values. The holders
 * of the grace period stay the same, or a contradiction is reported.
 *
 * @returns the number of cases in which a contradiction was reported
 */
export function damageGracePeriod(kernel: NativeKernel): number {
  const { has, size, addressOf, read, set, damagedBy } = memoryOf(kernel);
  const idle = new Set(cpusThatRan(kernel).filter((cpu) => runningTask(kernel, cpu).pid === 0));
  const readers = (of: NativeKernel) => gracePeriodReaders(of, (cpu) => idle.has(cpu));
  const whole = readers(kernel);
  expect(whole?.contradictions).toEqual([]);
  const essence = (found: GracePeriodReaders | undefined) => JSON.stringify([found?.cpus, found?.tasks.map(String)]);
  const places: (readonly [name: string, Place, Part])[] = [];
  const add = (type: keyof typeof MEMBERS, at: bigint, which: string) => {
    for (const path of MEMBERS[type])
      if (has(`${type}.${path}`)) places.push([`${type}${which}.${path}`, at, `${type}.${path}`]);
  };
  const state = kernel.symbol('rcu_state')!;
  add('rcu_state', state, '');
  for (const name of ['rcu_num_nodes', 'rcu_num_lvls']) places.push([name, name, 4]);
  const nodeBytes = BigInt(size('rcu_node'));
  const first = addressOf(state, 'rcu_state.node');
  for (let index = 0; index < read('rcu_num_nodes', 4); index++)
    add('rcu_node', first + BigInt(index) * nodeBytes, `${index}`);
  for (const cpu of cpuMask(kernel, '__cpu_possible_mask'))
    for (const type of ['rcu_data', 'context_tracking'] as const) {
      const at = kernel.symbol(type);
      if (at !== undefined) add(type, perCpuAddress(kernel, at, cpu), `${cpu}`);
    }
  for (const task of whole?.tasks ?? []) add('task_struct', task, '');
  let reported = 0;
  for (const [name, place, part] of places) {
    const [address, now] = [addressOf(place, part), read(place, part)];
    const values = [0n, 1n, 2n, 3n, 4n, 5n, 6n, -1n, now + 1n, now + 4n, now + nodeBytes, now - nodeBytes];
    values.push(...[0n, 1n, 2n, 3n, 4n].map((bit) => now ^ (1n << bit)), first, address, address - 8n);
    for (const value of new Set(values.map((each) => BigInt.asUintN(8 * Math.min(size(part), 8), each)))) {
      if (value === now) continue;
      const isDetected = (() => {
        try {
          const found = readers(damagedBy(set(place, part, value)));
          return (found?.contradictions.length ?? 0) > 0 || essence(found) === essence(whole);
        } catch (error) {
          if (error instanceof KernelError || error instanceof ReadError) return true;
          throw error;
        }
      })();
      expect(isDetected, `${name} = 0x${value.toString(16)}, was 0x${now.toString(16)}`).toBe(true);
      reported++;
    }
  }
  return reported;
}
