import { stateOfValues } from '../../answers/diff/read/answers.js';
import { HostError, KernelError, ReadError } from '../../base/errors.js';
import type { HostState } from '../../diff/state.js';

/** Queries of an input, by the name of the part that each returns. */
export type Queries = Readonly<Record<string, () => unknown>>;

/**
 * Returns the state that an input contains. Each failed query is recorded as a flaw of the state.
 *
 * @throws the error of the first query, if all fail
 */
export async function queryParts(name: string, queries: Queries): Promise<HostState> {
  const answers: unknown[] = [];
  const missing: { readonly what: string; readonly error: Error }[] = [];
  for (const [what, ask] of Object.entries(queries)) {
    try {
      const answer = await ask();
      if (answer !== undefined) answers.push(answer);
    } catch (error) {
      if (!isLacking(error)) throw error;
      missing.push({ what, error });
    }
  }
  const [first] = missing;
  if (answers.length === 0 && first) throw first.error;
  const state = stateOfValues(name, answers);
  const flaws = missing.map(({ what, error }) => ({
    code: 'incomplete' as const,
    words: `${what} not available: ${error.message}`,
  }));
  return { ...state, flaws: [...state.flaws, ...flaws] };
}

/** Whether an error is a flaw of the input. Memory exhaustion in kdump-mem is not. */
function isLacking(error: unknown): error is Error {
  if (error instanceof KernelError) return error.code !== 'exhausted';
  return error instanceof HostError || error instanceof ReadError;
}
