export interface Incident {
  readonly name: string;
  readonly kind: string;
  /** Codes of findings or names of memory, any of which is right. */
  readonly categories: readonly string[];
  /** Names, any of which is right; empty: the thread names none. */
  readonly owners: readonly string[];
  /** Set that is held out: looked at once, after all changes (yes), before any (second), or never mended (third). */
  readonly heldOut: 'yes' | 'second' | 'third' | null;
  readonly input: string;
}

export interface JudgedIncident extends Incident {
  readonly outcome: 'right' | 'no owner' | 'false cause' | 'refused' | 'silent' | 'wrong';
  /** The sentence that was judged. */
  readonly said: string;
  readonly seconds: number;
}

export function incidents(): Incident[];
export function judgeIncidents(list?: readonly Incident[]): Promise<JudgedIncident[]>;
export function scoreTable(judged: readonly JudgedIncident[]): string[][];
