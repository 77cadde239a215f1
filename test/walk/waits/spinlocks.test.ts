import { expect, test } from 'vitest';
import { registerWords, spinLocks } from '../../../src/walk/waits/spinlocks.js';
import { FixtureBase, OverlaidKernel } from '../../support/overlaid-kernel.js';

const BASE = new FixtureBase('6.1');
/** A lock word with this last CPU in its queue. */
const tail = (cpu: number) => ((cpu + 1) << 18) | 1;

/** A lock, and the queue nodes of two CPUs. */
class Spinning extends OverlaidKernel {
  readonly lock = this.make(8);
  readonly qnodes = this.perCpu({ qnodes: 4 * this.size('qnode') }).qnodes;

  constructor() {
    super(BASE);
  }

  /** A CPU that spins, as the first of its nodes. @param next the node of the CPU behind it */
  queued(cpu: 0 | 1, next = 0n): void {
    this.set('qnode', this.qnodes[cpu], { 'mcs.next': next, 'mcs.count': 1 });
  }
}

/** The locks for which CPUs spin that have some addresses in a register. */
function spun(scene: (one: Spinning) => void, registers: readonly [cpu: number, address: (one: Spinning) => bigint][]) {
  const one = new Spinning();
  scene(one);
  for (const cpu of [0, 1]) {
    const own = registers.find(([each]) => each === cpu)?.[1](one);
    one.run(cpu, ['native_queued_spin_lock_slowpath'], own === undefined ? {} : { di: own });
  }
  const odd: string[] = [];
  const kernel = one.kernel();
  const words = new Map(registers.map(([cpu]) => [cpu, registerWords(kernel, cpu)]));
  const locks = spinLocks(kernel, words, (what) => odd.push(what));
  return { odd, locks: locks.map(({ address, cpus }) => [address === one.lock ? 'lock' : address, ...cpus]) };
}

const lock = ({ lock: address }: Spinning) => address;

test.each<readonly [string, readonly number[], number, (one: Spinning) => void]>([
  ['one queued CPU', [1], tail(1), (one) => one.queued(1)],
  ['two queued CPUs', [0, 1], tail(1), (one) => [one.queued(0, one.qnodes[1]), one.queued(1)]],
  ['a CPU with the pending bit', [0], 0x101, () => {}],
  ['a pending CPU before a queued one', [0, 1], tail(1) | 0x100, (one) => one.queued(1)],
  ['a virtual machine without a queue', [0], 1, () => {}],
])('finds the spinlock of %s', (_, cpus, word, scene) => {
  const found = spun(
    (one) => [one.word(one.lock, word), scene(one)],
    cpus.map((cpu) => [cpu, lock]),
  );
  expect(found).toEqual({ odd: [], locks: [['lock', ...cpus]] });
});

test('a pending CPU with another word that looks like a lock is next of the lock that needs one', () => {
  const one = new Spinning();
  const other = one.make(8);
  one.word(one.lock, tail(1) | 0x100);
  one.word(other, 0x101);
  one.queued(1);
  // Its registers were saved by an interrupt, whose own word looks like a lock.
  one.run(0, ['native_queued_spin_lock_slowpath'], { bx: other });
  one.run(1, ['native_queued_spin_lock_slowpath'], { di: one.lock });
  const odd: string[] = [];
  const kernel = one.kernel();
  const words = new Map([0, 1].map((cpu) => [cpu, [...registerWords(kernel, cpu), one.lock]]));
  expect(spinLocks(kernel, words, (what) => odd.push(what))).toEqual([{ address: one.lock, cpus: [0, 1] }]);
  expect(odd).toEqual([]);
});

test('reports a pending CPU with two locks in its registers', () => {
  const one = new Spinning();
  const other = one.make(8);
  one.word(one.lock, tail(1) | 0x100);
  one.word(other, 0x101);
  one.queued(1);
  one.run(0, ['native_queued_spin_lock_slowpath'], { bx: other, di: one.lock });
  one.run(1, ['native_queued_spin_lock_slowpath'], { di: one.lock });
  const odd: string[] = [];
  const kernel = one.kernel();
  spinLocks(kernel, new Map([0, 1].map((cpu) => [cpu, registerWords(kernel, cpu)])), (what) => odd.push(what));
  expect(odd).toEqual([expect.stringMatching(/^CPU 0 may spin for 0x\w+ or 0x\w+$/)]);
});

test('a queued CPU whose registers an interrupt overwrote spins for the lock that has it as its last', () => {
  const found = spun(
    (one) => [one.word(one.lock, tail(1) | 0x100), one.queued(1)],
    [
      [0, lock],
      [1, ({ qnodes }) => qnodes[0]],
    ],
  );
  expect(found).toEqual({ odd: [], locks: [['lock', 0, 1]] });
});

test.each<readonly [string, RegExp, number, (one: Spinning) => void]>([
  [
    'next node',
    /the queue of spinning CPU 1 has 0x\w+, which no other spinning CPU is at/,
    tail(1),
    (one) => one.queued(1, one.lock),
  ],
  [
    'loop',
    /the queue of spinning CPU 1 has/,
    tail(1),
    (one) => one.queued(1, one.qnodes[1] + BigInt(one.size('qnode'))),
  ],
  ['tail', /no word in the registers and on the stack of CPU 1 is a spinlock/, tail(0), (one) => one.queued(1)],
  ['lock word', /CPU 1 spins for a lock, which its registers do not name/, 0, () => {}],
  ['pending bit', /has another queue than the CPUs that spin for it/, tail(1) | 0x100, (one) => one.queued(1)],
])('reports a wrong %s', (_, message, word, scene) => {
  const { odd } = spun((one) => [one.word(one.lock, word), scene(one)], [[1, lock]]);
  expect(odd).toContainEqual(expect.stringMatching(message));
});
