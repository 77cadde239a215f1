import { memorySchema } from '../../../src/answers/memory/schema.js';
import { kdumpMem } from '../../support/cli.js';

/** Output of `memory --as WHICH` for a source, by the names of its lines. */
export const asked = async (which: string, ...source: string[]) => {
  const { stdout } = await kdumpMem('memory', '--as', which, '--json', ...source);
  const { figures } = memorySchema.parse(JSON.parse(stdout));
  return new Map((figures?.lines ?? []).map((line) => [line.name, line]));
};
