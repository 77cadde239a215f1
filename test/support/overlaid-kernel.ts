import { bytesOf } from '../../src/kernel/bytes.js';
import type { NamedAddress } from '../../src/kernel/kernel.js';
import type { NativeKernel } from '../../src/kernel/native/kernel.js';
import { openNative } from '../../src/kernel/native/open.js';
import { runningTask } from '../../src/walk/cpus.js';
import { type TaskTable, taskTable } from '../../src/walk/tasks/task-table.js';
import { type FixtureName, fixture } from './fixtures.js';
import { littleEndian } from './little-endian.js';
import { made } from './made-kernel.js';

type Value = bigint | number | string;

const PAGE_BITS = 12;
const PAGE = 1 << PAGE_BITS;
const STACK_BYTES = 0x4000;
const FUNCTION_BYTES = 0x40n;
/** `pr_reg` of struct elf_prstatus, in order, and where it is. */
const REGISTERS = 'r15 r14 r13 r12 bp bx r11 r10 r9 r8 ax cx dx si di orig_ax ip cs flags sp ss'.split(' ');
const [STATUS_BYTES, PR_PID, PR_REG] = [336, 32, 112] as const;

/** Bytes of a page that a test wrote, and 1 for each of them. */
interface Page {
  readonly bytes: Uint8Array;
  readonly isOwn: Uint8Array;
}

/** The kernel of a fixture, opened once for all tests of a file. */
export class FixtureBase {
  readonly kernel: NativeKernel;
  readonly table: TaskTable;

  constructor(name: FixtureName) {
    this.kernel = openNative({ files: [fixture(name).vmcore] });
    this.table = taskTable(this.kernel);
  }
}

/**
 * Made-up objects beside those of a fixture's kernel, by its types. Its own words can be changed to point to them, also
 * words that the fixture does not have.
 */
export class OverlaidKernel {
  /** Symbols of other addresses. Fixtures contain a part of the ORC tables: without them, frame pointers count. */
  readonly symbols: Record<string, bigint | undefined> = { __start_orc_unwind_ip: undefined, crash_notes: undefined };
  /** Other members of the kernel. */
  readonly members: { -readonly [Name in keyof NativeKernel]?: NativeKernel[Name] } = {};
  readonly #base: FixtureBase;
  readonly #pages = new Map<bigint, Page>();
  readonly #names: (NamedAddress & { readonly address: bigint })[] = [];
  readonly #notes: DataView[] = [];
  #next = PAGE;

  constructor(base: FixtureBase) {
    this.#base = base;
  }

  /** The address of the `task_struct` of a process. */
  task(pid: number): bigint {
    return this.#base.table.processes.find((each) => each.pid === pid)!.address;
  }

  /** Reserves zeroed memory for a struct or a number of bytes, and writes its members. */
  make(of: string | number, members: Readonly<Record<string, Value>> = {}, align = 64): bigint {
    const bytes = typeof of === 'number' ? of : this.size(of);
    const at = Math.ceil(this.#next / align) * align;
    this.#next = at + bytes;
    this.write(made(at), new Uint8Array(bytes));
    if (typeof of === 'string') this.set(of, made(at), members);
    return made(at);
  }

  size(type: string): number {
    const layout = this.#base.kernel.struct(type);
    if (!layout) throw new Error(`no struct ${type}`);
    return layout.size;
  }

  /** The address of a member. */
  at(type: string, address: bigint, path: string): bigint {
    const member = this.#base.kernel.struct(type)?.member(path);
    if (!member) throw new Error(`struct ${type} has no ${path}`);
    return address + BigInt(member.offset);
  }

  /** Writes members of a struct. */
  set(type: string, address: bigint, members: Readonly<Record<string, Value>>): void {
    for (const [path, value] of Object.entries(members)) {
      const at = this.at(type, address, path);
      const size = Math.min(this.#base.kernel.struct(type)!.member(path)!.size, 8);
      const bytes =
        typeof value === 'string' ? Buffer.from(`${value}\0`) : littleEndian(BigInt.asUintN(64, BigInt(value)), 8);
      this.write(at, typeof value === 'string' ? bytes : bytes.subarray(0, size));
    }
  }

  write(address: bigint, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const at = address + BigInt(done);
      const into = Number(at % BigInt(PAGE));
      const part = bytes.subarray(done, done + PAGE - into);
      const number = at >> BigInt(PAGE_BITS);
      const page = this.#pages.get(number) ?? { bytes: new Uint8Array(PAGE), isOwn: new Uint8Array(PAGE) };
      this.#pages.set(number, page);
      page.bytes.set(part, into);
      page.isOwn.fill(1, into, into + part.length);
      done += part.length;
    }
  }

  /** Zeros from one member to the end of another. */
  clear(type: string, address: bigint, first: string, last = first): void {
    const from = this.at(type, address, first);
    const end = this.at(type, address, last) + BigInt(this.#base.kernel.struct(type)!.member(last)!.size);
    this.write(from, new Uint8Array(Number(end - from)));
  }

  word(address: bigint, value: bigint | number): void {
    this.write(address, littleEndian(BigInt.asUintN(64, BigInt(value)), 8));
  }

  /** The address of a text, behind which there is other memory. */
  text(text: string): bigint {
    const at = this.make(text.length + 64);
    this.write(at, Buffer.from(text));
    return at;
  }

  /** An empty list, for a symbol. */
  list(symbol: string): bigint {
    const head = this.make(16);
    this.link(head);
    this.symbols[symbol] = head;
    return head;
  }

  /** Moves per-CPU variables of these sizes to made-up memory. @returns their addresses for each of two CPUs */
  perCpu<Name extends string>(
    sizes: Readonly<Record<Name, number>>,
  ): Readonly<Record<Name, readonly [bigint, bigint]>> {
    const offsets = this.make(16);
    this.symbols.__per_cpu_offset = offsets;
    this.word(offsets + 8n, PAGE * 16);
    return Object.fromEntries(
      Object.entries<number>(sizes).map(([name, bytes]) => {
        const first = this.make(PAGE * 16 + bytes);
        this.symbols[name] = first;
        return [name, [first, first + BigInt(PAGE * 16)]];
      }),
    ) as unknown as Readonly<Record<Name, readonly [bigint, bigint]>>;
  }

  /** Links nodes of `struct list_head`, the first of which is the head. */
  link(...nodes: readonly bigint[]): void {
    for (const [index, node] of nodes.entries()) {
      const next = nodes[(index + 1) % nodes.length]!;
      this.word(node, next);
      this.word(next + 8n, node);
    }
  }

  /** The return address of a call in a made-up function. @param to address of the function that is called */
  call(name: string, to?: bigint): bigint {
    const address = this.make(Number(FUNCTION_BYTES));
    this.#names.push({ address, name, offset: 0 });
    const after = address + 32n;
    const code = Buffer.alloc(5, 0xe8);
    code.writeInt32LE(Number((to ?? after) - after), 1);
    this.write(address + 27n, code);
    return after;
  }

  /** Gives a task a stack with these functions, innermost first. @returns where 8 KiB of other words begin */
  stack(task: bigint, functions: readonly string[]): bigint {
    const { words, sp, bp } = this.#stack(task, functions);
    this.symbols.__switch_to_asm ??= this.make(16);
    const ret_addr = this.call(functions[0] ?? '', this.symbols.__switch_to_asm);
    this.set('inactive_task_frame', sp, { ret_addr, bp });
    return words;
  }

  /** Gives the task that a CPU runs a stack and registers. @returns as stack */
  run(cpu: number, functions: readonly string[], registers: Readonly<Record<string, bigint>> = {}): bigint {
    const { address } = runningTask(this.#base.kernel, cpu);
    const { words, sp, bp } = this.#stack(address, functions);
    const note = new DataView(new ArrayBuffer(STATUS_BYTES));
    note.setUint32(PR_PID, cpu + 1, true);
    for (const [name, value] of Object.entries({ ip: this.call(functions[0] ?? ''), sp, bp, ...registers }))
      note.setBigUint64(PR_REG + REGISTERS.indexOf(name) * 8, value, true);
    this.#notes.push(note);
    return words;
  }

  /** Gives each task a stack that says nothing, and each CPU registers. */
  idle(): this {
    const { processes, threads } = this.#base.table;
    for (const process of processes)
      for (const { address } of threads(process)) this.stack(address, ['__schedule', 'kthread']);
    for (const cpu of [0, 1]) this.run(cpu, ['default_idle', 'cpu_startup_entry']);
    return this;
  }

  kernel(facts: { readonly live?: boolean } = {}): NativeKernel {
    const { kernel } = this.#base;
    const changed: Readonly<Record<PropertyKey, unknown>> = {
      ...this.members,
      facts: { ...kernel.facts, ...facts },
      fast: undefined,
      cpuNotes: { by: 'qemu', notes: this.#notes },
      read: (address: bigint, length: number) => this.read(address, length),
      symbol: (name: string) => (name in this.symbols ? this.symbols[name] : kernel.symbol(name)),
      symbolAt: (address: bigint) => {
        const own = this.#names.find(({ address: at }) => address >= at && address < at + FUNCTION_BYTES);
        return own ? { name: own.name, offset: Number(address - own.address) } : kernel.symbolAt(address);
      },
    };
    return new Proxy(kernel, {
      get(target, name) {
        if (name in changed) return changed[name];
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  #stack(task: bigint, functions: readonly string[]) {
    const start = this.make(STACK_BYTES, {}, STACK_BYTES);
    const returns = functions.slice(1).map((name) => this.call(name));
    const end = start + BigInt(STACK_BYTES - this.size('pt_regs'));
    const places = returns.map((_, index) => end - BigInt((returns.length - index) * 16));
    for (const [index, at] of places.entries()) {
      this.word(at, places[index + 1] ?? 0n);
      this.word(at + 8n, returns[index]!);
    }
    const sp = start + 0x1000n;
    this.set('task_struct', task, { stack: start, 'thread.sp': sp });
    return { words: sp + 0x100n, sp, bp: places[0] ?? end };
  }

  read(address: bigint, length: number): DataView {
    const start = Number(BigInt.asUintN(PAGE_BITS, address));
    // Scans of all struct pages read few bytes at a time, nearly all of them the fixture's.
    if (start + length <= PAGE && !this.#pages.has(address >> BigInt(PAGE_BITS)))
      return this.#base.kernel.read(address, length);
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const at = address + BigInt(done);
      const into = Number(BigInt.asUintN(PAGE_BITS, at));
      const room = Math.min(length - done, PAGE - into);
      const page = this.#pages.get(at >> BigInt(PAGE_BITS));
      const own = page?.isOwn[into] ?? 0;
      const other = page?.isOwn.subarray(into, into + room).indexOf(1 - own) ?? -1;
      const part = other < 0 ? room : other;
      bytes.set(page && own ? page.bytes.subarray(into, into + part) : bytesOf(this.#base.kernel.read(at, part)), done);
      done += part;
    }
    return new DataView(bytes.buffer);
  }
}
