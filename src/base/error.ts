/**
 * The base of every error that is told to a user. `message` says what is wrong and where, in one
 * line; what to do next and the exit status belong to `app/kit/failure.ts`, keyed by `code`.
 *
 * Each room narrows `Code` to a union of its own. A programming error is never one of these.
 */
export abstract class KdumpMemError<Code extends string = string> extends Error {
  readonly code: Code;
  /** What to do next, where only who throws can tell; a terminal may be shown it as it is. */
  readonly next: string | undefined;

  constructor(code: Code, message: string, options?: { cause?: unknown; next?: string }) {
    super(message, options);
    this.code = code;
    this.next = options?.next;
    this.name = new.target.name;
  }
}
