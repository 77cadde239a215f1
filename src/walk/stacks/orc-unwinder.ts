import type { Kernel } from '../../kernel/kernel.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { callEndsAt, farReturnEndsAt } from './call-before.js';
import {
  isInside,
  MOST_FRAMES,
  notItsOwn,
  type StackArea,
  type StackFrame,
  stopped,
  stoppedBy,
  type TaskArea,
  type UnwoundStack,
} from './frame.js';
import type { OrcEntry, OrcRegister } from './orc-format.js';
import { OrcTables } from './orc-tables.js';
import type { CpuRegisters } from './registers.js';
import { type StackStop, stopAt } from './stop.js';
import { TracedReturns } from './traced-returns.js';

/** Registers that an entry may ask for and that only saved registers tell. */
const SAVED = ['ax', 'dx', 'di', 'r10', 'r13'] as const;
type Saved = (typeof SAVED)[number];
const REGISTERS = [...SAVED, 'ip', 'sp', 'bp', 'cs'] as const;
type Register = (typeof REGISTERS)[number];

interface State {
  ip: bigint;
  sp: bigint;
  bp: bigint;
  interrupted: boolean;
  guess: boolean;
  /** Other registers, as far as they were saved for this function. */
  saved: (register: Saved) => bigint | undefined;
}

/** How the kernel goes on where no table says it: by the frame pointer (orc_fp_entry). */
const BY_FRAME_POINTER: OrcEntry = {
  type: 'call',
  sp: 'bp',
  spOffset: 16,
  bp: 'prev-sp',
  bpOffset: -16,
  signal: false,
};

/** After a call of address 0 (null_orc_entry). */
const AFTER_NULL: OrcEntry = {
  type: 'call',
  sp: 'sp',
  spOffset: 8,
  bp: 'undefined',
  bpOffset: 0,
  signal: false,
};

/** rip, cs, eflags, rsp, ss. */
const IRET_WORDS = { ip: 0n, cs: 8n, sp: 24n } as const;

/** Functions that no table has keep less on the stack. */
const SCANNED_BYTES = 512n;

const NOTHING_SAVED = (): undefined => undefined;

/** Where a stack ends, or why it stops. */
type Ending = 'user' | 'first' | StackStop;

/** Unwinds stacks of x86_64 by the kernel's own tables, as unwind_next_frame does (unwind_orc.c). */
export class OrcUnwinder {
  readonly #kernel: Kernel;
  readonly #tables: OrcTables;
  readonly #regs;
  readonly #returns: TracedReturns;

  /** @throws as OrcTables does, and where the kernel has other structs */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#tables = new OrcTables(kernel);
    this.#regs = new StructReader(kernel, 'pt_regs', REGISTERS);
    this.#returns = new TracedReturns(kernel);
  }

  /** The stack of a task that does not run, from where it gave up its CPU (`thread.sp`). */
  sleeping(area: TaskArea, pointer: bigint): UnwoundStack {
    if (!isInside(area, pointer) || (pointer & 7n) !== 0n) return notItsOwn(pointer);
    return this.#unwind(area, () => {
      const frame = new StructReader(this.#kernel, 'inactive_task_frame', ['bp', 'ret_addr']);
      const view = frame.read(pointer);
      const ip = view.pointer('ret_addr');
      const isStart = this.#kernel.symbolAt?.(ip)?.offset === 0;
      const sp = pointer + BigInt(frame.size);
      const bp = view.pointer('bp');
      // A task that has never run goes on at the start of a function.
      return { ip, sp, bp, interrupted: isStart, guess: false, saved: NOTHING_SAVED };
    });
  }

  /** The stack of a task that ran, from its registers. */
  running(area: TaskArea, registers: CpuRegisters): UnwoundStack {
    if (registers.user) return { frames: [], end: 'user' };
    return this.#unwind(area, () => {
      const { pc: ip, sp, get } = registers;
      return { ip, sp, bp: get('bp'), interrupted: true, guess: false, saved: get };
    });
  }

  #unwind(area: TaskArea, start: () => State): UnwoundStack {
    const frames: StackFrame[] = [];
    const stop = (...why: Parameters<typeof stopAt>) => stopped(frames, stopAt(...why));
    const seen = new Set<string>();
    try {
      const state = start();
      for (;;) {
        const { ip, sp, interrupted, guess } = state;
        const place = `${ip} ${sp}`;
        if (seen.has(place)) return stop('comes-back', ip);
        seen.add(place);
        frames.push({ address: ip, interrupted, guess });
        if (frames.length > MOST_FRAMES) return stop('endless');
        const end = this.#step(state, area);
        if (end === 'user' || end === 'first') return { frames, end };
        if (end?.code === 'returns-to-no-call') frames.push({ ...frames.pop()!, guess: true });
        if (end !== undefined) return stopped(frames, end);
      }
    } catch (error) {
      return stoppedBy(frames, error);
    }
  }

  /** Goes to the caller; tells where the stack ends, or why it cannot. */
  #step(state: State, area: TaskArea): Ending | undefined {
    let entry: OrcEntry | undefined;
    let guessed = false;
    const found = this.#tables.find(state.interrupted ? state.ip : state.ip - 1n);
    // A call of 0 ends there at once: nothing returns to it.
    if (state.ip === 0n && !state.interrupted) return stopAt('returns-to-nothing');
    if (state.ip === 0n) entry = AFTER_NULL;
    else entry = found;
    if (entry === undefined) {
      if (!isInside(area, state.bp)) return stopAt('no-table', state.ip);
      entry = BY_FRAME_POINTER;
      guessed = true;
    }
    if (this.#isDoubted(state, entry.type)) return stopAt('returns-to-no-call');
    if (entry.type === 'undefined')
      return this.#scan(state, area) ? undefined : stopAt('table-ends', state.ip);
    if (entry.type === 'end') return this.#endOf(state, area);
    const sp = this.#pointerOf(state, entry);
    if (sp === undefined) return stopAt('register-unknown', state.ip);
    if ((sp & 7n) !== 0n) return stopAt('pointer-off', sp);
    const before = { bp: state.bp };
    state.guess = guessed;
    if (entry.type === 'call') {
      const ip = this.#returnAt(sp - 8n, area);
      if (ip === undefined) return stopAt('return-traced');
      state.ip = ip;
      state.sp = sp;
      state.saved = NOTHING_SAVED;
    } else if (entry.type === 'regs') {
      const saved = (register: Register) => this.#word(sp + BigInt(this.#regs.offset(register)));
      // What user space had in its registers is nobody's business, and is not read.
      if ((saved('cs') & 3n) !== 0n) return this.#userAt(sp, area);
      state.ip = saved('ip');
      state.sp = saved('sp');
      state.bp = saved('bp');
      before.bp = state.bp;
      state.saved = saved;
    } else {
      if ((this.#word(sp + IRET_WORDS.cs) & 3n) !== 0n)
        return this.#userAt(sp - BigInt(this.#regs.offset('ip')), area);
      state.ip = this.#word(sp + IRET_WORDS.ip);
      state.sp = this.#word(sp + IRET_WORDS.sp);
    }
    if (entry.bp === 'prev-sp') state.bp = this.#word(sp + BigInt(entry.bpOffset));
    else if (entry.bp === 'bp') state.bp = this.#word(before.bp + BigInt(entry.bpOffset));
    state.interrupted = entry.signal;
    return undefined;
  }

  /** The return address at a place of the stack; undefined: it is with a tracer. */
  #returnAt(place: bigint, { task }: TaskArea): bigint | undefined {
    const address = this.#word(place);
    return this.#returns.isTrampoline(address) ? this.#returns.original(task, place) : address;
  }

  /**
   * Goes on where a function that no table has seems to return to: the first word of the stack before which
   * a call ends. __crash_kexec is such a one (STACK_FRAME_NON_STANDARD), where a CPU that panicked notes
   * its registers. Once a stack: what comes then is held against its end.
   */
  #scan(state: State, area: StackArea): boolean {
    if (state.guess || !isInside(area, state.sp)) return false;
    for (let at = state.sp; at < area.end && at < state.sp + SCANNED_BYTES; at += 8n) {
      const word = this.#word(at);
      if (word >> 63n === 0n || !callEndsAt(this.#kernel, word)) continue;
      const name = this.#kernel.symbolAt?.(word - 1n);
      if (name === undefined || this.#tables.find(word - 1n)?.type !== 'call') continue;
      Object.assign(state, { ip: word, sp: at + 8n, interrupted: false, guess: true });
      state.saved = NOTHING_SAVED;
      return true;
    }
    return false;
  }

  /** Whether something before a return address is no call: then one of both is wrong. */
  #isDoubted({ ip, interrupted, guess }: State, type: OrcEntry['type']): boolean {
    // What called at the start of the kernel may be gone.
    if (interrupted || guess || this.#tables.isInit(ip)) return false;
    if (type === 'end' && farReturnEndsAt(this.#kernel, ip)) return false;
    return callEndsAt(this.#kernel, ip) === false;
  }

  /** The stack pointer of the caller. */
  #pointerOf(state: State, { sp: register, spOffset }: OrcEntry): bigint | undefined {
    const offset = BigInt(spOffset);
    switch (register) {
      case 'sp':
        return state.sp + offset;
      case 'bp':
        return state.bp + offset;
      case 'sp-indirect':
        return this.#word(state.sp) + offset;
      case 'bp-indirect':
        return this.#word(state.bp + offset);
      default:
        return isSaved(register) ? state.saved(register) : undefined;
    }
  }

  /** What user space was doing lies at the very end of a task's own stack (task_pt_regs). */
  #userAt(regs: bigint, area: StackArea): Ending {
    const padding = area.end - regs - BigInt(this.#regs.size);
    // FRED keeps two words more there.
    if (!isInside(area, regs) || padding === 0n || padding === 16n) return 'user';
    return stopAt('registers-amid', regs);
  }

  /** A kernel thread begins where its stack does. */
  #endOf({ sp }: State, area: StackArea): Ending {
    const room = BigInt(this.#regs.size) + 64n;
    if (!isInside(area, sp) || area.end - sp <= room) return 'first';
    return stopAt('ends-amid', sp);
  }

  #word(address: bigint): bigint {
    return pointerPartOf(this.#kernel, 'the stack', address, address);
  }
}

function isSaved(register: OrcRegister): register is Saved {
  return (SAVED as readonly string[]).includes(register);
}
