/** Of a terminal that does not tell its own, such as one on a serial line. */
const USUAL_WIDTH = 80;

/** What is asked of stdout. */
interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/**
 * How many columns an answer may take: those of the terminal that it goes to; null where it goes into
 * a pipe or a file, in which nothing is cut. `COLUMNS` counts for a terminal that does not tell.
 */
export function terminalWidth(
  output: Output = process.stdout,
  environment: NodeJS.ProcessEnv = process.env,
): number | null {
  if (!output.isTTY) return null;
  const told = [output.columns, Number(environment.COLUMNS)];
  return told.find((width) => Number.isInteger(width) && Number(width) > 0) ?? USUAL_WIDTH;
}

/** Whether an output is a terminal that knows escape sequences: colours, lines that are redrawn in place. */
export function takesEscapes(
  { isTTY }: Output = process.stdout,
  { TERM }: NodeJS.ProcessEnv = process.env,
): boolean {
  return isTTY === true && TERM !== 'dumb';
}
