import type { Kernel } from '../../kernel/kernel.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import {
  isInside,
  MAX_FRAMES,
  outsideOwnStack,
  type StackArea,
  type StackFrame,
  type StackStop,
  stopAt,
  stopped,
  stoppedBy,
  type TaskArea,
  type UnwoundStack,
} from './frame.js';
import { type OrcEntry, type OrcRegister, OrcTables } from './orc-tables.js';
import type { CpuRegisters } from './registers.js';
import { callEndsAt, checkSwitch, farReturnEndsAt, TracedReturns } from './traced-returns.js';

/** Registers that an ORC entry may need and that only saved registers contain. */
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
  /** Other registers, if they were saved for this function. */
  saved: (register: Saved) => bigint | undefined;
}

/** The kernel's fallback without a table entry: the frame pointer (orc_fp_entry). */
const BY_FRAME_POINTER: OrcEntry = {
  type: 'call',
  sp: 'bp',
  spOffset: 16,
  bp: 'prev-sp',
  bpOffset: -16,
  signal: false,
};

/** Entry for a call of address 0 (null_orc_entry). */
const AFTER_NULL: OrcEntry = { type: 'call', sp: 'sp', spOffset: 8, bp: 'undefined', bpOffset: 0, signal: false };

/** Offsets in the IRET frame: rip, cs, eflags, rsp, ss. */
const IRET_WORDS = { ip: 0n, cs: 8n, sp: 24n } as const;

/** Maximum number of bytes to scan: functions without a table entry use less stack. */
const SCANNED_BYTES = 512n;

const NOTHING_SAVED = (): undefined => undefined;

/** The end of a stack, or the reason why unwinding stops. */
type Ending = 'user' | 'first' | StackStop;

/** Unwinds x86_64 stacks by the kernel's ORC tables, like unwind_next_frame (unwind_orc.c). */
export class OrcUnwinder {
  readonly #kernel: Kernel;
  readonly #tables: OrcTables;
  readonly #regs;
  readonly #returns: TracedReturns;

  /** @throws as OrcTables does, and if the kernel has different structs */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#tables = new OrcTables(kernel);
    this.#regs = new StructReader(kernel, 'pt_regs', REGISTERS);
    this.#returns = new TracedReturns(kernel);
  }

  /** Returns the stack of a task that is not running, from its saved stack pointer (`thread.sp`). */
  sleeping(area: TaskArea, pointer: bigint): UnwoundStack {
    if (!isInside(area, pointer) || (pointer & 7n) !== 0n) return outsideOwnStack(pointer);
    return this.#unwind(area, () => {
      const frame = new StructReader(this.#kernel, 'inactive_task_frame', ['bp', 'ret_addr']);
      const view = frame.read(pointer);
      const ip = view.pointer('ret_addr');
      checkSwitch(this.#kernel, ip);
      const isStart = this.#kernel.symbolAt?.(ip)?.offset === 0;
      const sp = pointer + BigInt(frame.size);
      const bp = view.pointer('bp');
      // A task that has never run starts at the beginning of a function.
      return { ip, sp, bp, interrupted: isStart, guess: false, saved: NOTHING_SAVED };
    });
  }

  /** Returns the stack of a running task, from its registers. */
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
        if (frames.length > MAX_FRAMES) return stop('endless');
        const end = this.#step(state, area);
        if (end === 'user' || end === 'first') return { frames, end };
        if (end?.code === 'returns-to-no-call') frames.push({ ...frames.pop()!, guess: true });
        if (end !== undefined) return stopped(frames, end);
      }
    } catch (error) {
      return stoppedBy(frames, error);
    }
  }

  /** Steps to the caller; returns the end of the stack, or the reason why unwinding stops. */
  #step(state: State, area: TaskArea): Ending | undefined {
    let entry: OrcEntry | undefined;
    let guessed = false;
    const orc = this.#tables.find(state.interrupted ? state.ip : state.ip - 1n);
    // A call of address 0 ends there: nothing returns to it.
    if (state.ip === 0n && !state.interrupted) return stopAt('returns-to-nothing');
    if (state.ip === 0n) entry = AFTER_NULL;
    else entry = orc;
    if (entry === undefined) {
      if (!isInside(area, state.bp)) return stopAt('no-table', state.ip);
      entry = BY_FRAME_POINTER;
      guessed = true;
    }
    if (this.#isDoubted(state, entry.type)) return stopAt('returns-to-no-call');
    if (entry.type === 'undefined') return this.#scan(state, area) ? undefined : stopAt('table-ends', state.ip);
    if (entry.type === 'end') return this.#endOf(state, area);
    const sp = this.#pointerOf(state, entry);
    if (sp === undefined) return stopAt('register-unknown', state.ip);
    if ((sp & 7n) !== 0n) return stopAt('pointer-off', sp);
    const before = { bp: state.bp, sp: state.sp };
    state.guess = guessed;
    if (entry.type === 'call') {
      const ip = this.#returnAt(sp - 8n, area);
      if (ip === undefined) return stopAt('return-traced');
      state.ip = ip;
      state.sp = sp;
      state.saved = NOTHING_SAVED;
    } else if (entry.type === 'regs') {
      const saved = (register: Register) => this.#word(this.#regs.addressOf(sp, register));
      // User-space registers are private and are not read.
      if ((saved('cs') & 3n) !== 0n) return this.#userAt(sp, area);
      state.ip = saved('ip');
      state.sp = saved('sp');
      state.bp = saved('bp');
      before.bp = state.bp;
      state.saved = saved;
    } else {
      if ((this.#word(sp + IRET_WORDS.cs) & 3n) !== 0n) return this.#userAt(this.#regs.containerOf(sp, 'ip'), area);
      state.ip = this.#word(sp + IRET_WORDS.ip);
      state.sp = this.#word(sp + IRET_WORDS.sp);
    }
    if (entry.bp === 'prev-sp') state.bp = this.#word(sp + BigInt(entry.bpOffset));
    else if (entry.bp === 'bp') state.bp = this.#word(before.bp + BigInt(entry.bpOffset));
    state.interrupted = entry.signal;
    // An interrupt may have begun on a stack of the CPU, but from its own stack a task goes nowhere else.
    const isAbove = state.sp > before.sp && state.sp <= area.end;
    return isInside(area, before.sp) && !isAbove ? stopAt('pointer-off', state.sp) : undefined;
  }

  /**
   * Returns the return address at a stack location; undefined: a tracer replaced it, and the original is
   * unknown.
   */
  #returnAt(place: bigint, { task }: TaskArea): bigint | undefined {
    const address = this.#word(place);
    return this.#returns.isTrampoline(address) ? this.#returns.original(task, place) : address;
  }

  /**
   * Continues after a function without a table entry at its likely return address: the first word of the
   * stack that follows a call. __crash_kexec is such a function (STACK_FRAME_NON_STANDARD), in which a
   * panicking CPU saves its registers. Done at most once per stack; the result is checked against the end of
   * the stack.
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

  /** Whether the code before a return address is not a call, so that the address or the code is wrong. */
  #isDoubted({ ip, interrupted, guess }: State, type: OrcEntry['type']): boolean {
    // Init code may have been freed.
    if (interrupted || guess || this.#tables.isInit(ip)) return false;
    if (type === 'end' && farReturnEndsAt(this.#kernel, ip)) return false;
    return callEndsAt(this.#kernel, ip) === false;
  }

  /** Returns the caller's stack pointer. */
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

  /** The registers of user space are at the very end of a task's own stack (task_pt_regs). */
  #userAt(regs: bigint, area: StackArea): Ending {
    const padding = area.end - regs - BigInt(this.#regs.size);
    // FRED stores two more words there.
    if (!isInside(area, regs) || padding === 0n || padding === 16n) return 'user';
    return stopAt('registers-amid', regs);
  }

  /** Returns the end of the stack: the first function of a kernel thread is at the start of its stack. */
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
