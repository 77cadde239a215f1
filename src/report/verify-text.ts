import type { Difference } from './differences.js';
import { escapeText } from './escape.js';
import { formatCount } from './size.js';
import { formatTable } from './titled-table.js';

/** What `--engine verify` found: a sentence, then every figure that differs. */
export function verifyText(compared: number, differences: readonly Difference[]): string {
  if (differences.length === 0) {
    return `native and crash agree on all ${formatCount(compared)} figures`;
  }
  const table = formatTable(
    [{ title: 'FIGURE' }, { title: 'NATIVE' }, { title: 'CRASH' }],
    differences.map(({ path, native, crash }) => [escapeText(path), cell(native), cell(crash)]),
  );
  return `native and crash differ on ${formatCount(differences.length)} of ${formatCount(compared)} figures\n\n${table}`;
}

function cell(value: unknown): string {
  return value === undefined ? '(absent)' : escapeText(String(value));
}
