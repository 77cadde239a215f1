import { readOrNot } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask, needSymbol, perCpuAddress } from '../cpus.js';
import { cpuRegisters } from '../stacks/registers.js';
import { StructReader } from '../struct-reader.js';

/** Functions in which a CPU spins for a queued spinlock (kernel/locking/qspinlock.c). */
export const SPINS = /queued_spin_lock_slowpath(\.|$)/;

/** A spinlock for which CPUs spin. */
export interface SpinLock {
  /** Null: unknown. */
  readonly address: bigint | null;
  /** CPUs, the next one to get it first. */
  readonly cpus: readonly number[];
}

/** Nested contexts of a CPU that may spin: task, softirq, interrupt, NMI (MAX_NODES). */
const NODES = 4;
/** Bits of a lock word with less than 16,384 CPUs (include/asm-generic/qspinlock_types.h). */
const [PENDING, TAIL] = [0xff00, 16] as const;
/** Values of the byte `locked`: the last is _Q_SLOW_VAL, of paravirtual locks. */
const LOCKED: ReadonlySet<number> = new Set([0, 1, 3]);
const REGISTERS = {
  x86_64: ['di', 'bx', 'bp', 'r12', 'r13', 'r14', 'r15', 'ax', 'cx', 'dx', 'si', 'r8', 'r9', 'r10', 'r11'],
  arm64: Array.from({ length: 31 }, (_, index) => `x${index}`),
} as const;

/** Words of a CPU’s registers that may be addresses of the kernel; none: they were not saved. */
export function registerWords(kernel: Kernel, cpu: number): bigint[] {
  const registers = cpuRegisters(kernel, cpu, cpuMask(kernel, '__cpu_possible_mask'));
  if (registers === undefined) return [];
  return REGISTERS[kernel.facts.arch].flatMap((name) => readOrNot(() => registers.get(name)) ?? []);
}

/**
 * Finds the lock for which each CPU spins. The last CPU of a queue is the tail in the lock’s word, so that the word, the
 * queue (`qnodes` of each CPU) and the stacks must agree. The CPU that is next may not be in the queue, but have the
 * pending bit.
 *
 * @param spinning words in the registers of the CPUs that spin; in an interrupt, also those on the stack
 * @param odd receives contradictions
 */
export function spinLocks(
  kernel: Kernel,
  spinning: ReadonlyMap<number, readonly bigint[]>,
  odd: (words: string) => void,
): SpinLock[] {
  const nodes = needSymbol(kernel, 'qnodes');
  const type = kernel.struct('qnode') ? 'qnode' : 'mcs_spinlock';
  const prefix = type === 'qnode' ? 'mcs.' : '';
  const node = new StructReader<string>(kernel, type, [`${prefix}next`, `${prefix}count`]);
  const queued = new Map<bigint, { readonly cpu: number; readonly tail: number }>();
  const own = new Map<number, bigint>();
  for (const cpu of cpuMask(kernel, '__cpu_possible_mask')) {
    const first = perCpuAddress(kernel, nodes, cpu);
    for (let index = 0; index < NODES; index++)
      queued.set(node.element(first, index), { cpu, tail: ((cpu + 1) << 2) | index });
    const count = node.read(first).number(`${prefix}count`);
    if (spinning.has(cpu) && count > 0 && count <= NODES) own.set(cpu, node.element(first, count - 1));
  }
  const next = (at: bigint) => node.read(at).pointer(`${prefix}next`);
  const behind = new Set([...own.values()].map(next));
  const words = new Map<bigint, number>();
  for (const address of new Set([...spinning.values()].flat())) {
    const isAddress = address >> 63n === 1n && (address & 3n) === 0n;
    const word = isAddress ? readOrNot(() => kernel.read(address, 4).getUint32(0, true)) : 0;
    if (word) words.set(address, word);
  }
  const inRegisters = (cpus: readonly number[]) => new Set(cpus.flatMap((cpu) => registerWords(kernel, cpu)));
  const fits = (address: bigint, is: (word: number) => boolean): boolean => {
    const word = words.get(address) ?? 0;
    return LOCKED.has(word & 0xff) && (word & PENDING) <= 0x100 && is(word);
  };
  const isPending = (word: number) => (word & PENDING) !== 0;
  /** The one address with such a word; registers come before a stack, which has much else. */
  const lockOf = (cpus: readonly number[], is: (word: number) => boolean): bigint | null => {
    for (const all of [inRegisters(cpus), new Set(cpus.flatMap((cpu) => spinning.get(cpu) ?? []))]) {
      const fit = [...all].filter((address) => fits(address, is));
      if (fit.length === 1) return fit[0] ?? null;
    }
    return null;
  };
  const locks: { address: bigint | null; cpus: number[] }[] = [];
  for (const [cpu, start] of own) {
    if (behind.has(start)) continue;
    const cpus: number[] = [];
    let tail = 0;
    for (let at = start; at !== 0n; at = next(at)) {
      const waiter = queued.get(at);
      if (waiter === undefined || cpus.includes(waiter.cpu) || !spinning.has(waiter.cpu)) {
        odd(`the queue of spinning CPU ${cpu} has ${hex(at)}, which no other spinning CPU is at`);
        tail = 0;
        break;
      }
      cpus.push(waiter.cpu);
      tail = waiter.tail;
    }
    const isTail = (word: number) => word >>> TAIL === tail;
    // An interrupt may have overwritten the registers of those in the queue: the CPU that is next has the address too.
    const others = [...spinning.keys()].filter((cpu) => !cpus.includes(cpu));
    const address = tail === 0 ? null : (lockOf(cpus, isTail) ?? lockOf(others, isTail));
    if (address === null && tail !== 0)
      odd(`no word in the registers and on the stack of CPU ${cpu} is a spinlock with its queue`);
    locks.push({ address, cpus });
  }
  const done = new Set(locks.flatMap(({ cpus }) => cpus));
  for (const { address, cpus } of locks) {
    if (address === null || !isPending(words.get(address) ?? 0)) continue;
    // One CPU is next, and has the address. It may have others of words that look like a lock.
    const having = [...spinning].filter(([cpu, all]) => !done.has(cpu) && all.includes(address));
    const [cpu = -1] = having.length === 1 ? having[0]! : [];
    if (cpu < 0) continue;
    const own = inRegisters([cpu]);
    const other = [...own].find((word) => word !== address && fits(word, isPending));
    if (other !== undefined && own.has(address)) odd(`CPU ${cpu} may spin for ${hex(address)} or ${hex(other)}`);
    cpus.unshift(cpu);
    done.add(cpu);
  }
  const rest = [...spinning.keys()].filter((cpu) => !done.has(cpu));
  // It is next, and not queued: it has the pending bit. In a virtual machine without paravirtual locks none is queued.
  const alone = new Map(rest.map((cpu) => [cpu, lockOf([cpu], isPending) ?? lockOf([cpu], (word) => word === 1)]));
  for (const cpu of rest) {
    // In an interrupt, the registers are on the stack, with much else.
    const isOn = (address: bigint | null) => address !== null && spinning.get(cpu)?.includes(address) === true;
    const others = new Set([...locks.map(({ address }) => address), ...alone.values()].filter(isOn));
    const [other = null] = others.size === 1 ? others : [];
    const address = alone.get(cpu) ?? other;
    const known = locks.find((lock) => lock.address !== null && lock.address === address);
    if (known) known.cpus.unshift(cpu);
    else locks.push({ address, cpus: [cpu] });
    if (address === null) odd(`CPU ${cpu} spins for a lock, which its registers do not name`);
  }
  for (const { address, cpus } of locks) {
    if (address === null) continue;
    const word = words.get(address) ?? 0;
    const last = own.get(cpus.at(-1) ?? -1);
    const tail = last === undefined ? 0 : (queued.get(last)?.tail ?? 0);
    const unqueued = cpus.filter((cpu) => !own.has(cpu)).length;
    if (word >>> TAIL !== tail || (word !== 1 && unqueued !== (word & PENDING) / 0x100))
      odd(`the spinlock at ${hex(address)} has another queue than the CPUs that spin for it`);
  }
  return locks;
}
