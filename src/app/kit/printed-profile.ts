import { UsageError } from './failure.js';
import { STDOUT } from './output.js';

/** @throws {UsageError} a profile that is printed would be mixed with another form of the answer */
export function checkPrintedProfile(
  files: readonly (string | undefined)[],
  { json, folded }: { readonly json?: true; readonly folded?: true },
): void {
  const printed = json ? 'json' : folded ? 'folded' : undefined;
  if (printed && files.includes(STDOUT))
    throw new UsageError(
      `the profile goes to stdout: --${printed} has no place there. Name a file`,
    );
}
