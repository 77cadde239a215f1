/** Why a report of the log cannot be trusted: lines are missing, or unrelated lines are mixed in. */
export const CORRUPTIONS = [
  ...(['no-function', 'no-first-lines', 'interleaved', 'lines-missing'] as const),
  ...(['cut', 'no-frames', 'no-trace'] as const),
] as const;
export type Corruption = (typeof CORRUPTIONS)[number];
