import { memorySchema } from '../../../src/contracts/memory.js';
import { kdumpMemJson } from '../../support/in-process.js';

/** Output of `memory --as WHICH` for a source, by the names of its lines. */
export const asked = async (which: string, ...source: string[]) => {
  const { figures } = await kdumpMemJson(memorySchema, 'memory', '--as', which, ...source);
  return new Map((figures?.lines ?? []).map((line) => [line.name, line]));
};
