export interface DiffTextOptions {
  /** So many of each list. */
  readonly limit: number;
  /** All drawers, also those that hardly changed. */
  readonly verbose: boolean;
  /** Columns of the terminal; null: there is none, and nothing is cut or broken. */
  readonly width: number | null;
}
