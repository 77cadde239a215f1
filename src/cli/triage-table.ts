import type { LineOutput } from '../many/output.js';
import { earlierLine } from '../report/triage/end.js';
import type { TriageEndJson } from '../report/triage/line-schema.js';
import { similarText } from '../report/triage/similar.js';
import { type DumpRow, dumpRow, dumpsTable } from '../report/triage/table.js';
import { printAnswer } from './output.js';
import { terminalWidth } from './terminal-width.js';

/** Keeps what a table shows of each line, and prints it in the end. */
export class TableLines implements LineOutput {
  readonly #similar: boolean;
  readonly #rows: DumpRow[] = [];

  /** @param similar by kinds of trouble */
  constructor(similar: boolean) {
    this.#similar = similar;
  }

  write(index: number, _dump: string, line: string): void {
    const read = earlierLine(line);
    if (read === undefined) throw new Error('a line of ours that is none');
    this.#rows[index] = dumpRow(read);
  }

  finish(_order: readonly string[], end: string): void {
    const show = this.#similar ? similarText : dumpsTable;
    printAnswer(show(this.#rows, JSON.parse(end) as TriageEndJson, terminalWidth()));
  }

  close(): void {}
}
