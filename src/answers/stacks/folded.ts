import type { StacksAnswer } from '../../profile/faults/answer.js';
import { newBytes } from '../../profile/faults/stack-sums.js';
import { frameName } from './frame-name.js';

/**
 * Folded stacks, as flamegraph.pl and others read them: a line each, the outermost function first, and the
 * bytes of new memory.
 */
export function foldedStacks({ stacks, comm }: StacksAnswer): string[] {
  const own = [escapeSeparators(frameName({ symbol: comm, module: '', offset: null }))];
  return stacks
    .filter((stack) => newBytes(stack) > 0)
    .map((stack) => {
      const names = stack.frames.toReversed().map((frame) => escapeSeparators(frameName(frame)));
      return `${[...own, ...(names.length > 0 ? names : ['[no stack]'])].join(';')} ${newBytes(stack)}`;
    });
}

/** A semicolon parts functions. */
function escapeSeparators(name: string): string {
  return name.replaceAll(';', '\\x3b');
}
