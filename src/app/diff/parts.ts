import { stateOfValues } from '../../answers/diff/read/answers.js';
import { HostError } from '../../base/errors/host.js';
import { KernelError, ReadError } from '../../base/errors/kernel.js';
import type { HostState } from '../../diff/state.js';

/** What an input is asked, by what it tells of. */
export type Questions = Readonly<Record<string, () => unknown>>;

/**
 * What an input tells, as far as it does; why it does not tell the rest is a flaw of it.
 *
 * @throws what the first question throws, if it tells nothing
 */
export async function askParts(name: string, questions: Questions): Promise<HostState> {
  const told: unknown[] = [];
  const missing: { readonly what: string; readonly error: Error }[] = [];
  for (const [what, ask] of Object.entries(questions)) {
    try {
      const answer = await ask();
      if (answer !== undefined) told.push(answer);
    } catch (error) {
      if (!isLacking(error)) throw error;
      missing.push({ what, error });
    }
  }
  const [first] = missing;
  if (told.length === 0 && first) throw first.error;
  const state = stateOfValues(name, told);
  const flaws = missing.map(({ what, error }) => ({
    code: 'incomplete' as const,
    words: `${what} not available: ${error.message}`,
  }));
  return { ...state, flaws: [...state.flaws, ...flaws] };
}

/** What we ran out of ourselves is not the input's lack. */
function isLacking(error: unknown): error is Error {
  if (error instanceof KernelError) return error.code !== 'exhausted';
  return error instanceof HostError || error instanceof ReadError;
}
