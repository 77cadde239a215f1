import { CRASHES } from './crashes.js';
import type { Declaration, Declarations, Trait } from './declared.js';
import { MACHINE } from './machine.js';
import { MEMORY } from './memory.js';
import { REPORTS } from './reports.js';
import { SHORTAGES } from './shortages.js';
import { SOCKETS } from './sockets.js';
import { WAITS } from './waits.js';

/** All findings, in the order of their list. Codes are stable: they are part of the JSON. */
export const FINDINGS = {
  ...CRASHES,
  ...WAITS,
  ...SHORTAGES,
  ...REPORTS,
  ...SOCKETS,
  ...MEMORY,
  ...MACHINE,
} satisfies Declarations;
export type FindingCode = keyof typeof FINDINGS;
export const FINDING_CODES = Object.keys(FINDINGS) as FindingCode[];

/** Figures of a code. */
export type FiguresOf<Code extends FindingCode> = Parameters<(typeof FINDINGS)[Code]['words']>[0];

/** Whether a finding has a property; one of a team's rule has none. */
export function hasTrait({ code }: { readonly code: string }, trait: Trait): boolean {
  const declared: Declaration | undefined = FINDINGS[code as FindingCode];
  return declared?.traits?.includes(trait) ?? false;
}
