/** A function on a stack. Text is of the process's own files: hostile. */
export interface Frame {
  /** Null: no symbol covers it. */
  readonly symbol: string | null;
  /** The file that is mapped there, as perf names it. */
  readonly module: string;
  /** Bytes behind the symbol, or where there is none the address as the file has it, hex; null: not told. */
  readonly offset: string | null;
}

/** What a page fault was about: a mapping as perf names it, and the page that is there after it. */
export interface Fault {
  readonly type: 'fault';
  /** Major: it waited for a disk (swap, a file). */
  readonly major: boolean;
  readonly mapping: string;
  /** Size of the page that is mapped there now, bytes; null: the kernel does not tell. */
  readonly pageBytes: number | null;
}

/** A call that asks for address space. */
export interface SpaceCall {
  readonly type: 'mmap' | 'brk';
  /** mmap: length, bytes. brk: where the heap is to end, an address. */
  readonly value: bigint;
  /** mmap: MAP_ANONYMOUS. */
  readonly anonymous: boolean;
}

/** One record of perf.data, with its stack. */
export interface Sample {
  readonly pid: number;
  readonly tid: number;
  readonly what: Fault | SpaceCall;
  /** The innermost first. */
  readonly frames: readonly Frame[];
}

/** Names of the two events of faults, made anew for each recording: nobody can write them beforehand. */
export interface EventNames {
  readonly minor: string;
  readonly major: string;
}
