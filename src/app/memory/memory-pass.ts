import type { SymbolsByAddress } from '../../account/known-addresses.js';
import type { ProgressOf } from '../../account/references/search.js';
import { describeUnattributed } from '../../account/references/unattributed.js';
import { describeUnreachable } from '../../account/references/unreachable.js';
import { unattributedBlocks } from '../../answers/memory/unattributed/document.js';
import { unreachableBlocks } from '../../answers/memory/unreachable/document.js';
import type { Kernel } from '../../kernel/kernel.js';
import { type AnswerOptions, present } from '../kit/answer.js';
import { UsageError } from '../kit/failure.js';
import { checkEngine, sourceWords, withNativeSource } from '../kit/kernel-source.js';

interface PassOptions extends AnswerOptions {
  readonly limit?: number;
  readonly verbose?: true;
}

/** Prints groups of unattributed pages. @throws {UsageError} */
export async function showUnattributed(options: PassOptions): Promise<void> {
  const described = await overMemory(options, '--unattributed', describeUnattributed);
  const { limit = 20 } = options;
  present(described, options, { toBlocks: (answer) => unattributedBlocks(answer, limit, sourceWords(options)) });
}

/** Prints groups of unreachable allocations. @throws {UsageError} */
export async function showUnreachable(options: PassOptions): Promise<void> {
  const described = await overMemory(options, '--unreachable', describeUnreachable);
  const { limit = 20, verbose = false } = options;
  present(described, options, {
    toBlocks: (answer) => unreachableBlocks(answer, { limit, verbose, source: sourceWords(options) }),
  });
}

/** Computes an answer from a pass over all memory of a dump. */
async function overMemory<Answer>(
  options: PassOptions,
  name: string,
  ask: (kernel: Kernel, symbols: SymbolsByAddress | undefined, progress: ProgressOf) => Promise<Answer>,
): Promise<Answer> {
  checkEngine(name, options);
  if (options.live) throw new UsageError(`${name} needs a dump: the memory of a running kernel changes`);
  return withNativeSource(options, (kernel, progress) => ask(kernel, kernel.symbolTable, progress));
}
