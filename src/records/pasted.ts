/** Text that people copied from a terminal, a ticket or a mail: outputs of commands, in any order. */
export interface Pasted {
  /** Files of a sosreport with the same content. */
  readonly files: ReadonlyMap<string, string>;
  /** Kernel logs between them, by file. */
  readonly logs: ReadonlyMap<string, string>;
  /** Whether there is a log: one of these, or a longer one that is read later. */
  readonly hasLog: boolean;
  readonly parts: readonly PastedPart[];
  /** Lines of no known kind, without blank ones. */
  readonly unknownLines: number;
  /** Files of which only the beginning was read. */
  readonly cut: readonly string[];
}

/** Outputs that no file of /proc replaces, by their names in a sosreport. */
export const NETSTAT = 'sos_commands/networking/netstat_-W_-neopa';
export const DF = 'sos_commands/filesys/df_-al_-x_autofs';

/**
 * Whether an output is used: `unsupported`: its kind never is; `unclear`: it lacks a unit, or is damaged; `foreign`: of
 * another machine or time; `covered`: the text contains better figures.
 */
export const PASTED_STATES = ['used', 'unsupported', 'unclear', 'foreign', 'covered'] as const;
type PastedState = (typeof PASTED_STATES)[number];

/** Memory of one cgroup, by its memory.stat; absent: not in it. */
export const CGROUP_FIGURES = [
  'limitBytes',
  'anonBytes',
  'fileBytes',
  'shmemBytes',
  'slabReclaimableBytes',
  'slabUnreclaimableBytes',
  'kernelStackBytes',
  'pageTableBytes',
  'percpuBytes',
  'socketBytes',
] as const;
type CgroupFigures = Readonly<Partial<Record<(typeof CGROUP_FIGURES)[number], number>>>;

/** Output of one command. */
export interface PastedPart {
  readonly kind: string;
  /** The name of its file. Untrusted. */
  readonly file: string;
  /** Its first line, from 1 on. */
  readonly line: number;
  /** Number of its lines. */
  readonly lines: number;
  readonly state: PastedState;
  /** Why it is not used; null: it is. */
  readonly why: string | null;
  /** What it shows that no other part of an answer has, in bytes; null: nothing. */
  readonly figures: CgroupFigures | null;
}
