/** What is looked for. The order is that of the answer. */
export const CHECK_CODES = [
  'root',
  'processes',
  'ss',
  'namespaces',
  'counters',
  'pageflags',
  'kcore',
  'crash',
  'pressure',
  'perf',
  'tracefs',
  'bpftrace',
] as const;

export type CheckCode = (typeof CHECK_CODES)[number];

/** Whether something can be used here: `partly` says what of it. */
export type CheckState = 'works' | 'partly' | 'refused' | 'missing';

/** What was found out of one thing. */
export interface Check {
  readonly code: CheckCode;
  readonly state: CheckState;
  /** What was found: a version, a source; or why it cannot be used. One line, hostile. */
  readonly found: string;
}

/** What a program said, in the first line that is not empty, and whether it ended with status 0. */
export interface Output {
  readonly line: string;
  readonly ok: boolean;
}

/** What a check asks: this machine, or what stands in for it. */
export interface Machine {
  /** The effective user, as a number. */
  readonly uid: number;
  /** A whole small file. @throws {HostError} */
  readText(path: string): string;
  /** Where a link leads. @throws {HostError} */
  readLink(path: string): string;
  /** Opens a file for reading, and reads some of it. @throws {HostError} */
  open(path: string, reads?: boolean): void;
  /** The names in a folder. @throws {HostError} */
  list(path: string): readonly string[];
  /** Runs a program that ends at once; null: it is not there. */
  run(program: string, args: readonly string[]): Output | null;
  /** Opens the running kernel, and says what its symbols and types are from. @throws {KernelError} */
  openKernel(): { readonly lacking: readonly string[]; readonly release: string };
}
