import { ReadError, unsupportedLayout } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask, perCpuAddress } from '../cpus.js';
import { hlistNodes, TornList } from '../list.js';
import { findOrNot, pointerPartOf, pointersPartOf, readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { isPid } from './tasks.js';

/** A `struct pid` of the initial pid namespace. */
export interface PidEntry {
  /** Index in the tree, or the number in the hash table. */
  readonly index: number;
  /** Address of the `struct pid`. */
  readonly pid: bigint;
  /** Its number in the initial namespace (`numbers[0].nr`). */
  readonly number: number;
  /** Address of the `task_struct` with this thread id; 0n: only a process group or a session has it. */
  readonly task: bigint;
}

/** The pids of the initial namespace, which lead to every task independently of the task list. */
export interface PidTable {
  /** Name of its location in the kernel, for messages. */
  readonly name: string;
  readonly entries: readonly PidEntry[];
  /** `pid_allocated`, `nr_hashed` before 4.15: the expected number. */
  readonly allocated: number;
  /** First read error, which explains why entries may be missing without a fault. */
  readonly unread: ReadError | undefined;
  /** Entries that are invalid in any intact kernel. */
  readonly faults: readonly string[];
}

/**
 * Mask of the count in `pid_allocated`; other bits are flags (PIDNS_ADDING, include/linux/pid_namespace.h).
 */
const COUNT = 0x7fff_ffff;

/** Entries below this are internal markers of the xarray, such as XA_ZERO_ENTRY (include/linux/xarray.h). */
const FIRST_POINTER = 4096n;

/** Maximum shift of a node: pids have 22 bits. */
const MAX_SHIFT = 18;
/** log2 of the maximum number of hash chains (`pidhash_init`, kernel/pid.c). */
const MAX_HASH_SHIFT = 12;

/** Types of `pid_namespace.idr`, with the low bits that mark a node (include/linux/radix-tree.h). */
const TREES = [
  // An xarray since 4.20.
  { head: 'idr.idr_rt.xa_head', node: 'xa_node', mark: 2n },
  // A radix tree since 4.15.
  { head: 'idr.idr_rt.rnode', node: 'radix_tree_node', mark: 1n },
] as const;

/**
 * Reads the pid table: a tree since 4.15, a hash table before.
 *
 * @throws {ReadError} at the start of the table; {@link KernelError} `unsupported-layout` if the kernel has
 * neither known type
 */
export function pidTable(kernel: Kernel): PidTable {
  const namespace = kernel.symbol('init_pid_ns');
  const has = (name: string, path: string) => kernel.struct(name)?.member(path) !== undefined;
  const tree = TREES.find(({ head }) => has('pid_namespace', head));
  const hash = tree ? undefined : kernel.symbol('pid_hash');
  if (namespace === undefined || (!tree && hash === undefined)) {
    const lacks = namespace === undefined ? 'no init_pid_ns' : 'neither an IDR nor pid_hash';
    throw unsupportedLayout(`the kernel has ${lacks}`);
  }
  const table = new PidTableReader(kernel, namespace);
  return tree ? table.readTree(tree) : table.readHash(hash ?? 0n);
}

class PidTableReader {
  readonly #kernel: Kernel;
  readonly #namespace: bigint;
  /** Offset of a task's PIDTYPE_PID link. */
  readonly #links: bigint;
  readonly #pid;
  readonly #entries: PidEntry[] = [];
  readonly #faults: string[] = [];
  #unread: ReadError | undefined;

  constructor(kernel: Kernel, namespace: bigint) {
    this.#kernel = kernel;
    this.#namespace = namespace;
    // Before 4.19 each link is next to its struct pid pointer.
    const links = kernel.struct('task_struct')?.member('pid_links') ? 'pid_links' : 'pids[0].node';
    this.#links = BigInt(new StructReader(kernel, 'task_struct', [links]).offset(links));
    const pid = new StructReader(kernel, 'pid', ['tasks', 'numbers']);
    const number = new StructReader(kernel, 'upid', ['nr']);
    this.#pid = {
      tasks: BigInt(pid.offset('tasks')),
      numbers: BigInt(pid.offset('numbers')),
      number: BigInt(pid.offset('numbers') + number.offset('nr')),
    };
  }

  readTree({ head, node, mark }: (typeof TREES)[number]): PidTable {
    const namespace = new StructReader(this.#kernel, 'pid_namespace', [head, 'pid_allocated']);
    const view = namespace.read(this.#namespace);
    const nodes = new StructReader(this.#kernel, node, ['shift', 'slots']);
    const slots = nodes.members.slots.size / 8;
    const entry = (entry: bigint, index: number, shift: number | undefined): void => {
      if (entry < FIRST_POINTER) return;
      const low = entry & 3n;
      if (low === mark && shift !== 0) this.#attempt(() => children(entry - mark, index, shift));
      else if (low !== 0n || !isPid(index))
        this.#faults.push(`init_pid_ns.idr has an invalid entry ${hex(entry)} at index ${index}`);
      else this.#attempt(() => this.#entries.push(this.#pidAt(entry, index)));
    };
    /** @param above the shift of the parent node; undefined for the root node */
    const children = (address: bigint, index: number, above: number | undefined): void => {
      const shift = nodes.read(address).number('shift');
      // Number of index bits per node (XA_CHUNK_SHIFT).
      const bits = Math.log2(slots);
      const isExpected = above === undefined ? shift % bits === 0 : shift === above - bits;
      if (!isExpected || shift > MAX_SHIFT) {
        this.#faults.push(`init_pid_ns.idr node ${hex(address)} has an invalid shift (${shift})`);
        return;
      }
      const at = nodes.addressOf(address, 'slots');
      const held = pointersPartOf(this.#kernel, `struct ${node}`, address, at, slots);
      for (const [slot, pointer] of held.entries()) entry(pointer, index + slot * 2 ** shift, shift);
    };
    entry(view.pointer(head), 0, undefined);
    return this.#table('init_pid_ns.idr', view.number('pid_allocated'));
  }

  /**
   * The upids of all namespaces in chains (kernel/pid.c up to 4.14); `hash` is the address of the pointer to
   * them.
   */
  readHash(hash: bigint): PidTable {
    const counter = new StructReader(this.#kernel, 'pid_namespace', ['nr_hashed']);
    const counted = counter.read(this.#namespace).number('nr_hashed');
    const chains = pointerPartOf(this.#kernel, 'pid_hash', hash, hash);
    const bits = this.#kernel.symbol('pidhash_shift') ?? 0n;
    const shift = readPartOf(this.#kernel, 'pidhash_shift', bits, bits, 4).getUint32(0, true);
    if (shift > MAX_HASH_SHIFT) this.#faults.push(`pidhash_shift is invalid (${shift})`);
    else {
      const upid = new StructReader(this.#kernel, 'upid', ['nr', 'ns', 'pid_chain']);
      for (let chain = 0; chain < 2 ** shift; chain++)
        this.#attempt(() => {
          for (const node of hlistNodes(this.#kernel, chains + BigInt(chain * 8))) {
            const number = upid.containerOf(node, 'pid_chain');
            const view = upid.read(number);
            if (view.pointer('ns') !== this.#namespace) continue;
            this.#entries.push(this.#pidAt(number - this.#pid.numbers, view.number('nr')));
          }
        });
    }
    return this.#table('pid_hash', counted);
  }

  #table(name: string, allocated: number): PidTable {
    const table = { entries: this.#entries, unread: this.#unread, faults: this.#faults };
    return { name, ...table, allocated: allocated & COUNT };
  }

  /** Entries that a step cannot read are missing in the table. */
  #attempt(step: () => void): void {
    try {
      step();
    } catch (error) {
      if (error instanceof TornList) this.#faults.push(error.message);
      else if (error instanceof ReadError) this.#unread ??= error;
      else throw error;
    }
  }

  #pidAt(pid: bigint, index: number): PidEntry {
    const part = (at: bigint, length: number) => readPartOf(this.#kernel, 'struct pid', pid, pid + at, length);
    const number = part(this.#pid.number, 4).getInt32(0, true);
    // tasks[PIDTYPE_PID] contains at most one task, by its link of that type.
    const link = part(this.#pid.tasks, 8).getBigUint64(0, true);
    return { index, pid, number, task: link === 0n ? 0n : BigInt.asUintN(64, link - this.#links) };
  }
}

/** The kernel's counters of tasks (kernel/fork.c); undefined: unreadable. */
export interface TaskCounters {
  /** `nr_threads`: all tasks except the idle ones. */
  readonly threads: number | undefined;
  /** `process_counts`, summed over all CPUs. */
  readonly processes: number | undefined;
}

export function taskCounters(kernel: Kernel): TaskCounters {
  const counter = (name: string, read: (at: bigint) => number) =>
    findOrNot(() => {
      const at = kernel.symbol(name);
      return at === undefined ? undefined : read(at);
    });
  return {
    threads: counter('nr_threads', (at) => readPartOf(kernel, 'nr_threads', at, at, 4).getInt32(0, true)),
    // A process may exit on another CPU than it started on, so a CPU's count may be negative.
    processes: counter('process_counts', (at) => {
      let sum = 0n;
      for (const cpu of cpuMask(kernel, '__cpu_possible_mask'))
        sum += pointerPartOf(kernel, 'process_counts', at, perCpuAddress(kernel, at, cpu));
      return Number(BigInt.asIntN(64, sum));
    }),
  };
}
