import { KernelError, ReadError } from '../../base/errors/kernel.js';
import { incompleteness } from '../../walk/incompleteness.js';
import { Warnings } from '../../walk/warnings.js';
import { Tally } from '../tally.js';
import { type LedgerCode, type LedgerFigures, type RowOf, rowName, type Subject } from './row.js';

/** What sockets and the rows before hold together: a step reads it, only {@link runSteps} adds. */
export type Known = Pick<Tally, 'holdsPage' | 'pages' | 'slotsByCache' | 'missingBytes'>;

/** What a step found. */
export type Found<Code extends LedgerCode> =
  | {
      readonly status: 'counted';
      readonly objects: number | null;
      readonly bytes: number | null;
      readonly figures: LedgerFigures[Code];
      /** The pages and slots that rows after this one leave out. */
      readonly holds?: Tally;
    }
  | { readonly status: 'contradicted'; readonly figures: LedgerFigures[Code] }
  | { readonly status: 'not-walked' };

/** How one row is counted. */
export interface Step<Code extends LedgerCode> extends Subject<Code> {
  /** @throws {KernelError}, {@link ReadError} where it cannot be */
  count(known: Known): Found<Code>;
}

export type AnyStep = { readonly [Code in LedgerCode]: Step<Code> }[LedgerCode];

/** A row, and what of it nothing before holds. */
export interface Entry<Code extends LedgerCode> {
  readonly row: RowOf<Code>;
  readonly holds: Tally | undefined;
}

export type LedgerEntry = { readonly [Code in LedgerCode]: Entry<Code> }[LedgerCode];

/**
 * Counts row after row. What a page is counted with is the first that holds it, so the order of the
 * steps decides; and a row after one that cannot be counted may count what belongs to that.
 *
 * @param sockets what all sockets hold together; stays as it is
 */
export function* runSteps(
  pageSize: number,
  sockets: Tally,
  steps: Iterable<AnyStep>,
): Generator<LedgerEntry> {
  const known = new Tally(pageSize, new Warnings());
  known.add(sockets);
  const unknown: string[] = sockets.figures().complete ? [] : ['sockets'];
  for (const step of steps) {
    const entry = run(step as Step<LedgerCode>, known, unknown);
    if (entry.holds) known.add(entry.holds);
    if (entry.row.status === 'not-counted') unknown.push(rowName(entry.row));
    yield entry as LedgerEntry;
  }
}

function run<Code extends LedgerCode>(
  step: Step<Code>,
  known: Known,
  unknown: readonly string[],
): Entry<Code> {
  const { count, ...subject } = step;
  const none = { objects: null, bytes: null } as const;
  let found: Found<Code>;
  try {
    found = count(known);
  } catch (error) {
    const reason = reasonOf(error);
    const row = { ...subject, status: 'not-counted', ...none, complete: false, reason } as const;
    return { row, holds: undefined };
  }
  const { status } = found;
  if (status === 'not-walked') {
    return { row: { ...subject, status, ...none, complete: true }, holds: undefined };
  }
  const { figures } = found;
  if (status === 'contradicted') {
    return {
      row: { ...subject, status, ...none, complete: false, figures },
      holds: undefined,
    };
  }
  const { objects, bytes, holds } = found;
  if (unknown.length === 0 || !objects) {
    return { row: { ...subject, status, objects, bytes, complete: true, figures }, holds };
  }
  const atMost = { status: 'at-most', figures, unknown: [...unknown] } as const;
  return { row: { ...subject, ...none, complete: false, ...atMost }, holds };
}

/** @throws the error itself, if it is a fault of this program */
export function reasonOf(error: unknown): string {
  const known = error instanceof KernelError || error instanceof ReadError;
  if (!known) incompleteness(error);
  return (error as Error).message;
}
