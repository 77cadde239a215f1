import { ReadError } from '../../kernel/error.js';
import { hex } from '../../kernel/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { readPartOf } from '../named-read.js';
import { readOrNot } from '../read-or-not.js';
import { StructReader } from '../struct-reader.js';
import { isPid } from './tasks.js';

/** A `struct pid` of the initial pid namespace. */
export interface PidEntry {
  /** Its index in `init_pid_ns.idr`. */
  readonly index: number;
  /** Its address. */
  readonly pid: bigint;
  /** Its number in the initial namespace (`numbers[0].nr`). */
  readonly number: number;
  /** Address of the `task_struct` with this thread id; 0n: only a process group or a session has it. */
  readonly task: bigint;
}

export interface PidTable {
  readonly entries: readonly PidEntry[];
  /** `pid_allocated`: how many there should be. */
  readonly allocated: number;
  /** Every node and every `struct pid` could be read. */
  readonly complete: boolean;
  /** Entries that no sound kernel would have. */
  readonly faults: readonly string[];
}

/** Bits of `pid_allocated` that are no count (PIDNS_ADDING, include/linux/pid_namespace.h). */
const COUNT = 0x7fff_ffff;

/** Entries below this are the xarray's own marks, such as XA_ZERO_ENTRY (include/linux/xarray.h). */
const FIRST_POINTER = 4096n;

/**
 * The pids of the initial namespace, which finds every task independently of the task list: an IDR since 4.15, an
 * xarray since 4.20 (include/linux/xarray.h). Undefined: the kernel has none, or the dump lacks its head.
 */
export function pidTable(kernel: Kernel): PidTable | undefined {
  const namespace = kernel.symbol('init_pid_ns');
  const head = kernel.struct('pid_namespace')?.member('idr.idr_rt.xa_head');
  const links = kernel.struct('task_struct')?.member('pid_links');
  if (namespace === undefined || !head || !links) return undefined;
  return new PidTableReader(kernel, BigInt(links.offset)).read(namespace);
}

class PidTableReader {
  readonly #kernel: Kernel;
  readonly #links: bigint;
  readonly #namespace;
  readonly #node;
  /** Bits of an index that a node decides (XA_CHUNK_SHIFT). */
  readonly #bits: number;
  readonly #pid;
  readonly #entries: PidEntry[] = [];
  readonly #faults: string[] = [];
  #complete = true;

  constructor(kernel: Kernel, links: bigint) {
    this.#kernel = kernel;
    this.#links = links;
    this.#namespace = new StructReader(kernel, 'pid_namespace', [
      'idr.idr_rt.xa_head',
      'pid_allocated',
    ]);
    this.#node = new StructReader(kernel, 'xa_node', ['shift', 'slots']);
    this.#bits = Math.log2(this.#node.members.slots.size / 8);
    const pid = new StructReader(kernel, 'pid', ['tasks', 'numbers']);
    const number = new StructReader(kernel, 'upid', ['nr']);
    this.#pid = {
      tasks: BigInt(pid.offset('tasks')),
      number: BigInt(pid.offset('numbers') + number.offset('nr')),
    };
  }

  read(address: bigint): PidTable | undefined {
    const view = readOrNot(() => this.#namespace.read(address));
    if (view === undefined) return undefined;
    this.#entry(view.pointer('idr.idr_rt.xa_head'), 0, undefined);
    const allocated = view.number('pid_allocated') & COUNT;
    return { entries: this.#entries, allocated, complete: this.#complete, faults: this.#faults };
  }

  /** @param shift of the node that has the entry; undefined: of the head */
  #entry(entry: bigint, index: number, shift: number | undefined): void {
    if (entry < FIRST_POINTER) return;
    // 0b10 in the low bits marks a node, none a pointer.
    const isNode = (entry & 3n) === 2n && shift !== 0;
    try {
      if (isNode) this.#children(entry - 2n, index, shift);
      else if ((entry & 3n) !== 0n || !isPid(index))
        this.#fault(`init_pid_ns.idr has ${hex(entry)} at index ${index}`);
      else this.#entries.push(this.#pidAt(entry, index));
    } catch (error) {
      if (!(error instanceof ReadError)) throw error;
      this.#complete = false;
    }
  }

  #children(address: bigint, index: number, above: number | undefined): void {
    const view = this.#node.read(address);
    const shift = view.number('shift');
    const expected = above === undefined ? shift % this.#bits === 0 : shift === above - this.#bits;
    if (!expected || shift > MOST_SHIFT) {
      this.#fault(`the node of init_pid_ns.idr at ${hex(address)} has shift ${shift}`);
      return;
    }
    const { size, offset } = this.#node.members.slots;
    const slots = readPartOf(
      this.#kernel,
      'struct xa_node',
      address,
      address + BigInt(offset),
      size,
    );
    for (let slot = 0; slot < size / 8; slot++)
      this.#entry(slots.getBigUint64(slot * 8, true), index + slot * 2 ** shift, shift);
  }

  #fault(message: string): void {
    this.#complete = false;
    this.#faults.push(message);
  }

  #pidAt(pid: bigint, index: number): PidEntry {
    const part = (at: bigint, length: number) =>
      readPartOf(this.#kernel, 'struct pid', pid, pid + at, length);
    const number = part(this.#pid.number, 4).getInt32(0, true);
    // tasks[PIDTYPE_PID] has one task at most, by its pid_links[PIDTYPE_PID].
    const link = part(this.#pid.tasks, 8).getBigUint64(0, true);
    return { index, pid, number, task: link === 0n ? 0n : BigInt.asUintN(64, link - this.#links) };
  }
}

/** Pids have 22 bits. */
const MOST_SHIFT = 18;
