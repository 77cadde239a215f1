/** Who called printk. */
export interface LogCaller {
  /** A task's own id, or a CPU that ran no task's code. */
  readonly kind: 'task' | 'cpu';
  readonly id: number;
}

/** A message of the kernel's log, of a dump or of a capture. */
export interface LogRecord {
  /** Counts messages since boot. */
  readonly seq: number;
  /** Nanoseconds on the kernel's own clock, which starts near 0 at boot and stands still in sleep. */
  readonly timestamp: bigint;
  /** 0 (emerg) to 7 (debug); null: this kernel's types do not tell where it stands. */
  readonly level: number | null;
  /** As syslog counts them; 0: the kernel itself. Null as level is. */
  readonly facility: number | null;
  readonly caller: LogCaller | null;
  /** Name of the task that called; '' where the kernel does not note it. Hostile. */
  readonly comm: string;
  /** The device that a message is about, where it is about one; '' otherwise. Hostile. */
  readonly subsystem: string;
  readonly device: string;
  /** One line, or several; hostile. */
  readonly text: string;
}

/** A message of a log that is text (src/log): null is what the text does not have. */
export interface TextRecord extends Omit<LogRecord, 'timestamp'> {
  readonly timestamp: bigint | null;
  /** Wall-clock time as the text has it; '' where it has none. Hostile. */
  readonly printedTime: string;
  /** Nothing of printk stands before it: a further line of the message before, or other output. */
  readonly bare: boolean;
  /** Counts the boots of the text from 1 on. */
  readonly boot: number;
  /** The journal's id of it; '' where the text has none. */
  readonly bootId: string;
}
