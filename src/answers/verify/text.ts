import { escapeText } from '../text/escape.js';
import { formatCount } from '../text/size.js';
import { renderTable } from '../text/table.js';
import type { Difference } from './differences.js';

/** What `--engine verify` found: a sentence, then every figure that differs. */
export function verifyText(
  compared: number,
  differences: readonly Difference[],
  width: number | null = null,
): string {
  if (differences.length === 0) {
    return `native and crash agree on all ${formatCount(compared)} figures`;
  }
  const shrinks = { keeps: 'ends', least: 16 } as const;
  const table = renderTable<Difference>(
    [
      { heading: 'FIGURE', value: ({ path }) => escapeText(path) },
      { heading: 'NATIVE', value: ({ native }) => cell(native), shrinks },
      { heading: 'CRASH', value: ({ crash }) => cell(crash), shrinks },
    ],
    differences,
    width,
  );
  return `native and crash differ on ${formatCount(differences.length)} of ${formatCount(compared)} figures\n\n${table}`;
}

function cell(value: unknown): string {
  return value === undefined ? '(absent)' : escapeText(String(value));
}
