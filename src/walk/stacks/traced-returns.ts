import { damaged, readOrNot } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';

/** Code whose address replaces a return address while a tracer waits for the return. */
const TRAMPOLINES = [
  // The function_graph tracer (kernel/trace/fgraph.c).
  'return_to_handler',
  // Return probes (kernel/trace/rethook.c, kernel/kprobes.c). In 5.10, tasks do not have their own list.
  'arch_rethook_trampoline',
  '__kretprobe_trampoline',
  'kretprobe_trampoline',
] as const;

/** Per-task lists of return probe entries, with the member that identifies a call. */
const PROBES = [
  { list: 'rethooks', note: 'rethook_node', place: 'frame' },
  { list: 'kretprobe_instances', note: 'kretprobe_instance', place: 'fp' },
] as const;

/** Maximum size of a task's return notes: 50 notes (FTRACE_RETFUNC_DEPTH), or 4096 bytes since 6.11. */
const MAX_NOTE_BYTES = 4096;
const MAX_PROBES = 4096;

/** Original return addresses of functions whose return address a tracer replaced. */
export class TracedReturns {
  readonly #kernel: Kernel;
  readonly #trampolines: ReadonlySet<bigint>;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    const addresses = TRAMPOLINES.map((name) => kernel.symbol(name));
    this.#trampolines = new Set(addresses.filter((address) => address !== undefined));
  }

  isTrampoline(address: bigint): boolean {
    return this.#trampolines.has(address);
  }

  /**
   * @param task address of its task_struct
   * @param place identifies a call to tracers. x86_64: address of the return address; arm64: frame record of
   * the caller (`ftrace_graph_ret_addr`, `rethook_find_ret_addr`)
   * @returns undefined: no tracer replaced it
   */
  original(task: bigint, place: bigint): bigint | undefined {
    const noted = this.#ofGraph(task, place);
    if (noted !== undefined) return noted;
    for (const probes of PROBES) {
      const address = this.#ofProbes(task, place, probes);
      if (address !== undefined) return address;
    }
    return undefined;
  }

  /**
   * Returns the original address from the function_graph tracer. The entry of the first function called
   * contains the return address of all of them: the others were reached by jumps.
   */
  #ofGraph(task: bigint, place: bigint): bigint | undefined {
    const note = this.#kernel.struct('ftrace_ret_stack');
    const [ret, func, retp] = ['ret', 'func', 'retp'].map((name) => note?.member(name)?.offset);
    const has = this.#kernel.struct('task_struct')?.member('ret_stack');
    if (!note || !has || ret === undefined || func === undefined || retp === undefined) return undefined;
    const of = this.#task(['ret_stack', 'curr_ret_stack']).read(task);
    const start = of.pointer('ret_stack');
    if (start === 0n) return undefined;
    // The index of the last note, or since 6.11 the number of words: stale notes follow.
    const bytes = Math.min((of.number('curr_ret_stack') + 1) * note.size, MAX_NOTE_BYTES);
    for (let at = retp; at < bytes; at += 8) {
      if (this.#word(start, start + BigInt(at)) !== place) continue;
      const wordOf = (offset: number) => this.#word(start, start + BigInt(at - retp + offset));
      const address = wordOf(ret);
      // An entry is recognized among other words by its code addresses.
      if (this.#isCode(wordOf(func)) && this.#isCode(address) && !this.isTrampoline(address)) return address;
    }
    return undefined;
  }

  #ofProbes(task: bigint, place: bigint, { list, note, place: by }: (typeof PROBES)[number]): bigint | undefined {
    const layout = this.#kernel.struct(note);
    const has = this.#kernel.struct('task_struct')?.member(list);
    if (!has || !layout?.member(by) || !layout.member('llist')) return undefined;
    const node = new StructReader(this.#kernel, note, ['llist', 'ret_addr', by] as const);
    let at = this.#task([list]).read(task).pointer(list);
    for (let left = MAX_PROBES; at !== 0n; left--) {
      if (left === 0) throw damaged(`kretprobe list of the task ${hex(task)} does not terminate (loop?)`);
      const view = node.readContainer(at, 'llist');
      const address = view.pointer('ret_addr');
      if (view.pointer(by) === place && !this.isTrampoline(address)) return address;
      at = view.pointer('llist');
    }
    return undefined;
  }

  #task<Member extends string>(members: readonly Member[]): StructReader<Member> {
    return new StructReader(this.#kernel, 'task_struct', members);
  }

  #isCode(address: bigint): boolean {
    return this.#kernel.symbolAt?.(address) !== undefined;
  }

  #word(start: bigint, address: bigint): bigint {
    return pointerPartOf(this.#kernel, 'the function_graph return stack', start, address);
  }
}

/** Length of the longest call: opcode, ModRM, SIB and four bytes of displacement. */
const LONGEST_CALL = 7;

/**
 * Lengths of `ff /2` calls, with the mod and rm values of ModRM: register, and memory with a displacement of
 * zero, one or four bytes.
 */
const INDIRECT: Readonly<Record<number, (mod: number, rm: number) => boolean>> = {
  2: (mod, rm) => mod === 3 || (mod === 0 && rm !== 4 && rm !== 5),
  3: (mod, rm) => (mod === 1 && rm !== 4) || (mod === 0 && rm === 4),
  4: (mod, rm) => mod === 1 && rm === 4,
  6: (mod, rm) => (mod === 2 && rm !== 4) || (mod === 0 && rm === 5),
  7: (mod, rm) => (mod === 2 || mod === 0) && rm === 4,
};

/** A far return, by which a starting CPU reaches its first C function (secondary_startup_64). */
const FAR_RETURN = 0xcb;

/** Whether a far return ends at an address; undefined as for callEndsAt. */
export function farReturnEndsAt(kernel: Kernel, address: bigint): boolean | undefined {
  return readOrNot(() => kernel.read(address - 1n, 1))?.getUint8(0) === FAR_RETURN;
}

/** Whether a call of arm64 (BL, BLR and their authenticated forms) ends at an address; undefined as above. */
export function branchLinkEndsAt(kernel: Kernel, address: bigint): boolean | undefined {
  if ((address & 3n) !== 0n) return false;
  const code = readOrNot(() => kernel.read(address - 4n, 4))?.getUint32(0, true);
  if (code === undefined) return undefined;
  return (
    code >>> 26 === 0b100101 || (code & 0xffff_fc1f) >>> 0 === 0xd63f_0000 || (code & 0xfeff_f800) >>> 0 === 0xd63f_0800
  );
}

/**
 * Returns the branch target of an arm64 BL that ends at an address; undefined if there is none, or the code
 * cannot be read.
 */
export function branchTarget(kernel: Kernel, address: bigint): bigint | undefined {
  const code = readOrNot(() => kernel.read(address - 4n, 4))?.getUint32(0, true);
  if (code === undefined || code >>> 26 !== 0b100101) return undefined;
  return address - 4n + BigInt.asIntN(28, BigInt(code & 0x3ff_ffff) << 2n);
}

/** Maximum number of bytes before a function where a patched call may enter it (call depth tracking). */
const MAX_PADDING = 32n;

/**
 * Checks the address at which a task that was switched out continues: only __schedule calls __switch_to_asm, and a new
 * task begins at ret_from_fork (arch/x86/entry/entry_64.S). Code that cannot be read is not checked.
 */
export function checkSwitch(kernel: Kernel, address: bigint): void {
  const to = kernel.symbol('__switch_to_asm');
  if (to === undefined) return;
  const at = kernel.symbolAt?.(address);
  if (at?.offset === 0 && at.name.startsWith('ret_from_fork')) return;
  const offset = readOrNot(() => kernel.read(address - 4n, 4))?.getInt32(0, true);
  const target = offset === undefined ? to : address + BigInt(offset);
  if (target > to || target <= to - MAX_PADDING)
    throw damaged(`the task was switched out at ${hex(address)}, which does not follow a call of __switch_to_asm`);
}

/**
 * Whether an x86_64 call ends at an address, as it must for every return address.
 *
 * @returns undefined if the code cannot be read
 */
export function callEndsAt(kernel: Kernel, address: bigint): boolean | undefined {
  const code = readOrNot(() => kernel.read(address - BigInt(LONGEST_CALL), LONGEST_CALL));
  if (code === undefined) return undefined;
  const CALL = 0xe8;
  const GROUP_5 = 0xff;
  if (code.getUint8(LONGEST_CALL - 5) === CALL) return true;
  return Object.entries(INDIRECT).some(([bytes, fits]) => {
    const at = LONGEST_CALL - Number(bytes);
    const modrm = code.getUint8(at + 1);
    return code.getUint8(at) === GROUP_5 && ((modrm >> 3) & 7) === 2 && fits(modrm >> 6, modrm & 7);
  });
}
