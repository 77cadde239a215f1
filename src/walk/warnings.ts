/** What makes an answer incomplete or doubtful. `code` is for programs, `message` for people. */
export interface Warning {
  readonly code: WarningCode;
  readonly message: string;
}

export type WarningCode =
  /** Bytes that the answer needs were not in the dump, or could not be read. */
  | 'unreadable'
  /** A list whose links do not agree: damage in a dump, a race on a live kernel. */
  | 'torn-list'
  /** A count or a pointer that no sound kernel would hold. */
  | 'corrupt'
  /** An allocation whose order the kernel does not record. */
  | 'order-unknown'
  /** Frags in device memory (net_iov): they pin no page of this machine. */
  | 'device-memory'
  /** A linear head outside the direct map, whose pages were not followed. */
  | 'head-not-counted'
  /** The kernel has a feature whose layout this program does not know. */
  | 'unsupported-layout';

/** How many messages of one code are kept whole; the rest is counted. */
const KEPT_PER_CODE = 5;

/** Collects warnings, bounded however damaged the memory is. */
export class Warnings {
  readonly #byCode = new Map<WarningCode, { messages: string[]; dropped: number }>();

  add(code: WarningCode, message: string): void {
    const entry = this.#byCode.get(code) ?? { messages: [], dropped: 0 };
    this.#byCode.set(code, entry);
    if (entry.messages.includes(message)) return;
    if (entry.messages.length < KEPT_PER_CODE) entry.messages.push(message);
    else entry.dropped++;
  }

  /** Adds another collector's warnings to these. */
  merge(other: Warnings): void {
    for (const [code, { messages, dropped }] of other.#byCode) {
      for (const message of messages) this.add(code, message);
      const entry = this.#byCode.get(code);
      if (entry) entry.dropped += dropped;
    }
  }

  list(): Warning[] {
    return [...this.#byCode].flatMap(([code, { messages, dropped }]) => [
      ...messages.map((message) => ({ code, message })),
      ...(dropped > 0 ? [{ code, message: `${dropped} more of the same kind` }] : []),
    ]);
  }
}
