import { damaged } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask, needSymbol, perCpuAddress } from '../cpus.js';
import { listNodes } from '../list.js';
import { readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';

/** What the current grace period of RCU still waits for. */
export interface GracePeriodReaders {
  /** CPUs that have not reported a quiescent state. */
  readonly cpus: readonly number[];
  /** Addresses of tasks that were switched out in a read-side critical section (CONFIG_PREEMPT_RCU). */
  readonly tasks: readonly bigint[];
  /** How words that describe the grace period contradict each other. */
  readonly contradictions: readonly string[];
}

/** RCU_SEQ_STATE_MASK (kernel/rcu/rcu.h): the state of a grace period, 0 if none runs. */
const STATE = 3n;
/** Values of `rcu_state.gp_state` while it waits for quiescent states: RCU_GP_WAIT_FQS, RCU_GP_DOING_FQS (kernel/rcu/tree.h). */
const WAITS: ReadonlySet<number> = new Set([5, 6]);
/** Values of `gp_state` between two grace periods: RCU_GP_IDLE, RCU_GP_WAIT_GPS, RCU_GP_DONE_GPS. */
const IDLE: ReadonlySet<number> = new Set([0, 1, 2]);
/** Bits of the counter that are 0 while a CPU is idle: CT_RCU_WATCHING; before 6.1 bit 0, before 5.14 bit 1. */
const [WATCHING, DYNTICKS] = [4, 3] as const;

/**
 * Reads the tree of `rcu_state` (kernel/rcu/tree.h): each leaf has a bit for each of its CPUs. Each word is compared with
 * another: those of its parent, of the CPU’s `rcu_data`, and of the task.
 *
 * @param isIdle whether a CPU ran its idle task
 * @returns undefined: no grace period runs
 */
export function gracePeriodReaders(kernel: Kernel, isIdle: (cpu: number) => boolean): GracePeriodReaders | undefined {
  const address = needSymbol(kernel, 'rcu_state');
  const state = new StructReader(kernel, 'rcu_state', ['gp_seq', 'gp_state']).read(address);
  const tree = new StructReader(kernel, 'rcu_state', ['node']);
  const node = new StructReader(kernel, 'rcu_node', [
    'gp_seq',
    'qsmask',
    'qsmaskinit',
    'grplo',
    'grphi',
    'level',
    'grpmask',
    'parent',
    'blkd_tasks',
    'gp_tasks',
  ]);
  const ofCpu = new StructReader(kernel, 'rcu_data', [
    'gp_seq',
    'cpu_no_qs.b.norm',
    'core_needs_qs',
    'mynode',
    'grpmask',
  ]);
  const task = StructReader.ifPresent(kernel, 'task_struct', ['rcu_node_entry', 'rcu_blocked_node']);
  const readers = { cpus: [] as number[], tasks: [] as bigint[], contradictions: [] as string[] };
  const odd = (words: string) => void readers.contradictions.push(words);
  const root = tree.addressOf(address, 'node');
  const [period, phase] = [state.pointer('gp_seq'), state.number('gp_state')];
  const waits = WAITS.has(phase);
  if (waits && (period !== node.read(root).pointer('gp_seq') || (period & STATE) === 0n))
    odd('gp_seq of rcu_state and of its first rcu_node differ, or say that none runs');
  else if (IDLE.has(phase) && (period & STATE) !== 0n) odd('gp_seq says that it runs, gp_state not');
  if ((period & STATE) === 0n) return waits ? readers : undefined;
  const int = (name: string) => {
    const at = needSymbol(kernel, name);
    return readPartOf(kernel, name, at, at, 4).getInt32(0, true);
  };
  const [nodes, levels] = [int('rcu_num_nodes'), int('rcu_num_lvls')];
  if (nodes < 1 || nodes * node.size > tree.members.node.size) throw damaged(`rcu_num_nodes is ${nodes}`);
  const views = Array.from({ length: nodes }, (_, index) => node.read(node.element(root, index)));
  const holds = new Map(
    views.map((view) => [view.address, view.pointer('qsmask') !== 0n || view.pointer('gp_tasks') !== 0n]),
  );
  if (waits && !holds.get(root)) odd('it waits, but no CPU and no task holds it back');
  for (const [index, view] of views.entries()) {
    const name = `rcu_node ${index}`;
    const isCurrent = view.pointer('gp_seq') >> 2n === period >> 2n;
    if (!isCurrent && waits) odd(`${name} is in another grace period`);
    if ((view.pointer('qsmask') & ~view.pointer('qsmaskinit')) !== 0n)
      odd(`${name} has a bit in qsmask that no CPU of it has`);
    const parent = views.find((candidate) => candidate.address === view.pointer('parent'));
    if (index > 0 && !parent) odd(`parent of ${name} is no rcu_node`);
    const inParent = parent && (parent.pointer('qsmask') & view.pointer('grpmask')) !== 0n;
    if (waits && parent && inParent !== holds.get(view.address))
      odd(`${name} and its parent disagree on whether it holds the grace period back`);
    // Tasks before the first one do not hold this grace period.
    const first = view.pointer('gp_tasks');
    if (!task || !isCurrent || view.number('level') !== levels - 1) continue;
    let isHeld = false;
    for (const entry of listNodes(kernel, view.addressOf('blkd_tasks'))) {
      isHeld ||= entry === first;
      const reader = task.readContainer(entry, 'rcu_node_entry');
      if (reader.pointer('rcu_blocked_node') !== view.address)
        odd(`${name} has a task on its list that names another rcu_node`);
      if (isHeld) readers.tasks.push(reader.address);
    }
    if (!isHeld && first !== 0n) odd(`gp_tasks of ${name} is not on its list of tasks`);
  }
  const counter = watchingOf(kernel);
  for (const cpu of cpuMask(kernel, '__cpu_possible_mask')) {
    const own = ofCpu.read(perCpuAddress(kernel, needSymbol(kernel, 'rcu_data'), cpu));
    const leaf = views.find((view) => view.address === own.pointer('mynode'));
    const bit = own.pointer('grpmask');
    if (
      leaf?.number('level') !== levels - 1 ||
      bit !== 1n << BigInt(cpu - leaf.number('grplo')) ||
      cpu > leaf.number('grphi')
    ) {
      odd(`rcu_data of CPU ${cpu} names an rcu_node that is not its own`);
      continue;
    }
    // A node that has not begun this grace period has bits of the last one.
    if (leaf.pointer('gp_seq') >> 2n !== period >> 2n) continue;
    const isHolder = (leaf.pointer('qsmask') & bit) !== 0n;
    // It has noticed the grace period, and not reported since.
    const isNoted = own.pointer('gp_seq') === leaf.pointer('gp_seq');
    const isAwaited = own.number('core_needs_qs') !== 0;
    // An idle CPU does not hold it back; the thread of RCU only has not noticed yet.
    if (isHolder && !(isIdle(cpu) && counter(cpu) === 0)) {
      readers.cpus.push(cpu);
      if (isNoted && !isAwaited) odd(`CPU ${cpu} has reported, but qsmask names it`);
    }
    // A switch to or from the idle task clears cpu_no_qs.
    if (!isHolder && isNoted && isAwaited && own.number('cpu_no_qs.b.norm') !== 0 && !isIdle(cpu))
      odd(`CPU ${cpu} has not reported, but qsmask does not name it`);
  }
  return readers;
}

/** Returns a lookup of a CPU's counter of RCU: 0 for certain if it is idle; undefined: another layout. */
function watchingOf(kernel: Kernel): (cpu: number) => number | undefined {
  const forms = [
    ['context_tracking', 'state.counter', WATCHING, 'context_tracking'],
    ['rcu_data', 'dynticks.counter', DYNTICKS, 'rcu_data'],
  ] as const;
  for (const [type, path, mask, symbol] of forms) {
    const reader = StructReader.ifPresent(kernel, type, [path]);
    const at = kernel.symbol(symbol);
    if (reader && at !== undefined) return (cpu) => reader.read(perCpuAddress(kernel, at, cpu)).number(path) & mask;
  }
  return () => undefined;
}
