import type { HostCheckName } from '../records/triage-codes.js';
import type { HostTriage } from './answer.js';
import type { Finding } from './finding.js';

/** A finding with the time of the first sample that had it. */
export interface WatchedFinding {
  readonly finding: Finding;
  readonly since: Date;
  /** Checks that were not completed in the last sample that had it. */
  readonly unread: ReadonlySet<HostCheckName>;
}

/** One sample of a host's findings, compared with the samples before. */
export interface TriageSample {
  readonly answer: HostTriage;
  /** From 1 on. */
  readonly number: number;
  readonly at: Date;
  /** All findings, the most severe first. */
  readonly findings: readonly WatchedFinding[];
  /** Findings that the last sample did not have; of the first sample all. */
  readonly fresh: readonly Finding[];
  /** Earlier findings that this sample does not have, while a check failed that did not fail then. */
  readonly unconfirmed: readonly Finding[];
  /** Findings of earlier samples that this one does not have. */
  readonly gone: readonly Finding[];
}

/** Compares samples. Figures of a finding change, its subject and severity do not. */
export class TriageSamples {
  #known = new Map<string, WatchedFinding>();
  #count = 0;

  next(answer: HostTriage, at: Date): TriageSample {
    const before = this.#known;
    const unread = new Set(answer.unread.map(({ check }) => check));
    const now = new Map<string, WatchedFinding>();
    const equals = new Map<string, number>();
    for (const finding of answer.findings) {
      const key = keyOf(finding);
      // Log findings with equal lines stay separate.
      const ordinal = equals.get(key) ?? 0;
      equals.set(key, ordinal + 1);
      const own = ordinal === 0 ? key : `${key} ${ordinal}`;
      now.set(own, { finding, since: before.get(own)?.since ?? at, unread });
    }
    const findings = [...now.values()];
    const fresh = [...now].flatMap(([key, { finding }]) => (before.has(key) ? [] : [finding]));
    const missing = [...before].filter(([key]) => !now.has(key));
    const isLost = ([, finding]: (typeof missing)[number]) => [...unread].some((check) => !finding.unread.has(check));
    const kept = missing.filter(isLost);
    this.#known = new Map([...now, ...kept]);
    return {
      answer,
      number: ++this.#count,
      at,
      findings,
      fresh,
      unconfirmed: kept.map(([, { finding }]) => finding),
      gone: missing.flatMap((entry) => (isLost(entry) ? [] : [entry[1].finding])),
    };
  }
}

function keyOf({ code, severity, title, figures, evidence }: Finding): string {
  const [first] = evidence;
  if (first?.kind === 'log') return JSON.stringify([code, severity, title, first.text]);
  const { node, zone, cgroup, pid, limit, caller, sock, name } = figures;
  return JSON.stringify([code, severity, node, zone, cgroup, pid, limit, caller, sock, name]);
}
