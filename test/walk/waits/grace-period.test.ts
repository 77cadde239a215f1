import { expect, test } from 'vitest';
import { gracePeriodReaders } from '../../../src/walk/waits/grace-period.js';
import { FixtureBase, OverlaidKernel } from '../../support/overlaid-kernel.js';

const BASE = new FixtureBase('6.1');
const PERIOD = 0x105;

/** A grace period for which CPU 1 holds up the only node of the tree. */
class Period extends OverlaidKernel {
  readonly state = this.make('rcu_state', { gp_seq: PERIOD, gp_state: 5 });
  readonly node = this.at('rcu_state', this.state, 'node');
  readonly cpus = this.perCpu({ rcu_data: this.size('rcu_data'), context_tracking: 64 });

  constructor() {
    super(BASE);
    this.symbols.rcu_state = this.state;
    for (const name of ['rcu_num_nodes', 'rcu_num_lvls']) this.symbols[name] = this.make(4);
    for (const name of ['rcu_num_nodes', 'rcu_num_lvls']) this.word(this.symbols[name]!, 1);
    this.set('rcu_node', this.node, { gp_seq: PERIOD, qsmask: 2, qsmaskinit: 3, grplo: 0, grphi: 1, level: 0 });
    this.link(this.at('rcu_node', this.node, 'blkd_tasks'));
    for (const cpu of [0, 1] as const) {
      this.set('rcu_data', this.cpus.rcu_data[cpu], { gp_seq: PERIOD, mynode: this.node, grpmask: cpu + 1 });
      this.set('context_tracking', this.cpus.context_tracking[cpu], { 'state.counter': 4 });
    }
    this.data(1, { 'cpu_no_qs.b.norm': 1, core_needs_qs: 1 });
  }

  data(cpu: 0 | 1, members: Readonly<Record<string, bigint | number>>): void {
    this.set('rcu_data', this.cpus.rcu_data[cpu], members);
  }

  /** @param second the node that a second one names as its parent */
  second(parent: bigint, members: Readonly<Record<string, bigint | number>> = {}): void {
    const at = this.node + BigInt(this.size('rcu_node'));
    this.set('rcu_node', at, { gp_seq: PERIOD, parent, grpmask: 2, level: 1, ...members });
    this.word(this.symbols.rcu_num_nodes!, 2);
  }
}

const NOT_IDLE = () => false;

test('finds the CPUs for which a grace period waits', () => {
  expect(gracePeriodReaders(new Period().kernel(), NOT_IDLE)).toEqual({ cpus: [1], tasks: [], contradictions: [] });
});

test('no grace period runs', () => {
  const one = new Period();
  one.set('rcu_state', one.state, { gp_seq: 0x104, gp_state: 1 });
  expect(gracePeriodReaders(one.kernel(), NOT_IDLE)).toBeUndefined();
});

type Members = Readonly<Record<string, bigint | number | string>>;
const state = (members: Members) => (one: Period) => one.set('rcu_state', one.state, members);
const node = (members: Members) => (one: Period) => one.set('rcu_node', one.node, members);

test.each<readonly [string, RegExp, (one: Period) => void]>([
  ['number of the period', /gp_seq of rcu_state and of its first rcu_node differ/, state({ gp_seq: PERIOD + 4 })],
  ['state', /gp_seq says that it runs, gp_state not/, state({ gp_state: 1 })],
  ['mask', /it waits, but no CPU and no task holds it back/, node({ qsmask: 0 })],
  ['bit', /rcu_node 0 has a bit in qsmask that no CPU of it has/, node({ qsmask: 6 })],
  ['parent', /parent of rcu_node 1 is no rcu_node/, (one) => one.second(8n)],
  ['bit of the parent', /rcu_node 1 and its parent disagree/, (one) => one.second(one.node)],
  ['period of a node', /rcu_node 1 is in another grace period/, (one) => one.second(one.node, { gp_seq: 0 })],
  ['list of tasks', /gp_tasks of rcu_node 0 is not on its list of tasks/, node({ gp_tasks: 8 })],
  ['node of a CPU', /rcu_data of CPU 0 names an rcu_node that is not its own/, (one) => one.data(0, { mynode: 8 })],
  ['mask of a CPU', /rcu_data of CPU 0 names an rcu_node that is not its own/, (one) => one.data(0, { grpmask: 4 })],
  ['report', /CPU 1 has reported, but qsmask names it/, (one) => one.data(1, { core_needs_qs: 0 })],
  [
    'request',
    /CPU 0 has not reported, but qsmask does not name it/,
    (one) => one.data(0, { core_needs_qs: 1, 'cpu_no_qs.b.norm': 1 }),
  ],
])('reports a wrong %s', (_, message, damage) => {
  const one = new Period();
  damage(one);
  const { contradictions } = gracePeriodReaders(one.kernel(), NOT_IDLE)!;
  expect(contradictions).toContainEqual(expect.stringMatching(message));
});

test.each([0, 10_000])('refuses %d nodes', (count) => {
  const one = new Period();
  one.word(one.symbols.rcu_num_nodes!, count);
  expect(() => gracePeriodReaders(one.kernel(), NOT_IDLE)).toThrow(`rcu_num_nodes is ${count}`);
});
