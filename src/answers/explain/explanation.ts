/** Explanation of a code. It contains no data from a dump. */
export interface Explanation {
  /** Meaning of the code, and its consequence. */
  readonly means: string;
  /** How it is known: kernel source, kernel documentation, or a comparison by this program. */
  readonly known: string;
  /** Recommended action. */
  readonly next: string;
  /** The command that prints details, complete except for the dump; undefined: none. */
  readonly deeper?: string;
}

/** Explanations of all codes of a kind. */
export type Explanations<Code extends string> = Readonly<Record<Code, Explanation>>;
