import type { LineOutput } from '../many/output.js';
import type { TriageEndJson, TriageLineJson } from '../report/triage/line-schema.js';
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
    this.#rows[index] = dumpRow(JSON.parse(line) as TriageLineJson);
  }

  finish(_order: readonly string[], end: string): void {
    const show = this.#similar ? similarText : dumpsTable;
    printAnswer(show(this.#rows, JSON.parse(end) as TriageEndJson, terminalWidth()));
  }

  close(): void {}
}
