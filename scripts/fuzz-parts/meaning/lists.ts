import { readList } from '../../../src/answers/info/lists/lists.js';
import { jsonOf } from '../../../src/base/util.js';
import type { ListName } from '../../../src/contracts/lists.js';
import type { Command } from './answers.js';

const NAMES: readonly ListName[] = ['modules', 'mounts', 'swap', 'shared-memory', 'run-queues'];

/** The lists of `info`: modules, mounts, swap, shared memory and run queues. */
export const LISTS = {
  commands: (): Command[] =>
    NAMES.map((name) => ({
      name: `info --${name}`,
      ask(kernel) {
        const { warnings: _, ...json } = jsonOf(readList(name, kernel));
        return { json, complete: json.complete };
      },
    })),
  frames: () => new Map(),
};
