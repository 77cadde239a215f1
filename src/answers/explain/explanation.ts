/** What a code stands for, in words for people. Nothing in it is from a dump. */
export interface Explanation {
  /** What it is, and what that means. */
  readonly means: string;
  /** What it is known by: source of the kernel, its documentation, or what this program compares. */
  readonly known: string;
  /** What to do. */
  readonly next: string;
  /** The command that tells more, a whole one but for the dump; undefined: there is none. */
  readonly deeper?: string;
}

/** The words of all codes of a kind. */
export type Explanations<Code extends string> = Readonly<Record<Code, Explanation>>;
