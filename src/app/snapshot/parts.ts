import { InvalidArgumentError } from 'commander';
import { OPTIONAL_PARTS, type OptionalPart } from '../../capture/read/contents.js';
import { UsageError } from '../kit/failure.js';

/** Parts whose words would name somebody. */
const WITH_NAMES: readonly OptionalPart[] = ['smaps', 'arguments', 'unix-paths'];

/** What this version cannot take, and where to find it instead. */
const NOT_TAKEN: Readonly<Partial<Record<OptionalPart, string>>> = {
  kpageflags: '--with kpageflags is unsupported. Run kdump-mem memory --live on the host',
  perf: '--with perf is unsupported. Run kdump-mem procs --live --pid PID --stacks on the host',
};

/** `--with smaps,stacks`. */
export function parseParts(text: string, before: readonly OptionalPart[] = []): OptionalPart[] {
  const parts = text.split(',').map((word) => word.trim());
  for (const part of parts)
    if (!isPart(part)) throw new InvalidArgumentError(`Parts are ${OPTIONAL_PARTS.join(', ')}.`);
  return [...before, ...parts.filter(isPart)];
}

function isPart(word: string): word is OptionalPart {
  return OPTIONAL_PARTS.some((part) => part === word);
}

/** @throws {UsageError} for parts that cannot be taken so */
export function refuseParts(parts: readonly OptionalPart[], anonymize: boolean): void {
  for (const part of parts) {
    const why = NOT_TAKEN[part];
    if (why !== undefined) throw new UsageError(why);
    if (anonymize && WITH_NAMES.includes(part))
      throw new UsageError(
        `--with ${part} cannot be combined with --anonymize: ${part} may contain names`,
      );
  }
}
