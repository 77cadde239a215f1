import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';

/** Code that has the place of a return address while a tracer waits for the return. */
const TRAMPOLINES = [
  // The function_graph tracer (kernel/trace/fgraph.c).
  'return_to_handler',
  // Return probes (kernel/trace/rethook.c, kernel/kprobes.c). In 5.10 no task tells of its own.
  'arch_rethook_trampoline',
  '__kretprobe_trampoline',
  'kretprobe_trampoline',
] as const;

/** Lists of a task's that have notes of return probes, and what tells a call in them. */
const PROBES = [
  { list: 'rethooks', note: 'rethook_node', place: 'frame' },
  { list: 'kretprobe_instances', note: 'kretprobe_instance', place: 'fp' },
] as const;

/** What a task has room for: 50 notes (FTRACE_RETFUNC_DEPTH), or since 6.11 4096 bytes. */
const MOST_NOTE_BYTES = 4096;
const MOST_PROBES = 4096;

/** Where functions really return to whose return addresses tracers have taken. */
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
   * @param place by which tracers know a call. x86_64: where the return address lies; arm64: the frame
   *   record of who called (`ftrace_graph_ret_addr`, `rethook_find_ret_addr`)
   * @returns undefined: no tracer has a note of it
   * @throws {ReadError}, {@link KernelError} `damaged`
   */
  original(task: bigint, place: bigint): bigint | undefined {
    const noted = this.#ofGraph(task, place);
    if (noted !== undefined) return noted;
    for (const probes of PROBES) {
      const found = this.#ofProbes(task, place, probes);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** The note of the function that was called first returns to where all of them do: others were jumped to. */
  #ofGraph(task: bigint, place: bigint): bigint | undefined {
    const note = this.#kernel.struct('ftrace_ret_stack');
    const [ret, func, retp] = ['ret', 'func', 'retp'].map((name) => note?.member(name)?.offset);
    const has = this.#kernel.struct('task_struct')?.member('ret_stack');
    if (!note || !has || ret === undefined || func === undefined || retp === undefined)
      return undefined;
    const of = this.#task(['ret_stack', 'curr_ret_stack']).read(task);
    const start = of.pointer('ret_stack');
    if (start === 0n) return undefined;
    // The index of the last note, or since 6.11 how many words there are: older notes lie behind.
    const bytes = Math.min((of.number('curr_ret_stack') + 1) * note.size, MOST_NOTE_BYTES);
    for (let at = retp; at < bytes; at += 8) {
      if (this.#word(start, start + BigInt(at)) !== place) continue;
      const wordOf = (offset: number) => this.#word(start, start + BigInt(at - retp + offset));
      const address = wordOf(ret);
      // Where notes lie among other words, what looks like one has the addresses of code in it too.
      if (this.#isCode(wordOf(func)) && this.#isCode(address) && !this.isTrampoline(address))
        return address;
    }
    return undefined;
  }

  #ofProbes(
    task: bigint,
    place: bigint,
    { list, note, place: by }: (typeof PROBES)[number],
  ): bigint | undefined {
    const layout = this.#kernel.struct(note);
    const has = this.#kernel.struct('task_struct')?.member(list);
    if (!has || !layout?.member(by) || !layout.member('llist')) return undefined;
    const node = new StructReader(this.#kernel, note, ['llist', 'ret_addr', by] as const);
    let at = this.#task([list]).read(task).pointer(list);
    for (let left = MOST_PROBES; at !== 0n; left--) {
      if (left === 0)
        throw new KernelError(
          'damaged',
          `kretprobe list of the task ${hex(task)} does not terminate (loop?)`,
        );
      const view = node.read(at - BigInt(node.offset('llist')));
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
