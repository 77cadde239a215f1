/** The caller of printk. */
export interface LogCaller {
  /** Whether the id is that of a task, or of a CPU outside task context. */
  readonly kind: 'task' | 'cpu';
  readonly id: number;
}

/** A message of the kernel log, from a dump or a capture. */
export interface LogRecord {
  /** Sequence number since boot. */
  readonly seq: number;
  /** Nanoseconds on the kernel's own clock, which starts near 0 at boot and stops during suspend. */
  readonly timestamp: bigint;
  /** 0 (emerg) to 7 (debug); null: the kernel's types lack the member. */
  readonly level: number | null;
  /** Syslog facility number; 0: the kernel itself. Null under the same condition as level. */
  readonly facility: number | null;
  readonly caller: LogCaller | null;
  /** Name of the calling task, untrusted; '' if the kernel does not record it. */
  readonly comm: string;
  /** Device that the message is about, untrusted; '' if none. */
  readonly subsystem: string;
  readonly device: string;
  /** One or more lines; untrusted. */
  readonly text: string;
}

/** Properties of the own log of a capture besides its messages. */
export interface CapturedLogRest {
  /** Messages before the first one that were overwritten; null: unknown from `dmesg`. */
  readonly overwritten: number | null;
  /** Missing messages between others. */
  readonly missing: number;
  /** Lines that are not messages. */
  readonly foreign: number;
  /** Further reasons why messages may be misread. */
  readonly doubts: readonly string[];
}

/** CPU and task that printed a message, where a vendor's kernel prints them in each line. */
export interface Printer {
  readonly cpu: number | null;
  readonly pid: number;
  /** '' if not printed. Untrusted. */
  readonly comm: string;
}

/** A message of a text log (src/log): null if the text lacks it. */
export interface TextRecord extends Omit<LogRecord, 'timestamp'> {
  readonly timestamp: bigint | null;
  /** Wall-clock time in the text; '' if it has none. Untrusted. */
  readonly printedTime: string;
  /** Without a printk prefix: a further line of the previous message, or other output. */
  readonly bare: boolean;
  /** Number of the boot in the text, starting at 1. */
  readonly boot: number;
  /** Boot id of the journal; '' if the text has none. */
  readonly bootId: string;
  readonly printer?: Printer;
  /** Sequence number since boot; undefined: the text has none. */
  readonly number?: number;
}
