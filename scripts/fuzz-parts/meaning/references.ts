import { searchReferences } from '../../../src/account/references/search.js';
import { describeUnreachable } from '../../../src/account/references/unreachable.js';
import { refsAnswer } from '../../../src/answers/refs/document.js';
import { jsonOf } from '../../../src/base/util.js';
import type { Command } from './answers.js';

/** `refs`: references to the objects of a cache that every kernel has. */
export const REFS = {
  commands: (): Command[] => [
    {
      name: 'refs --cache TCP',
      async ask(kernel) {
        const json = jsonOf(refsAnswer(await searchReferences(kernel, undefined, { cache: 'TCP' }, 20)));
        const { groups, references, targets, ...sums } = json;
        const key = (one: { address: string }) => ({ key: one.address, ...one });
        return {
          json: { ...sums, groups: byWhat(groups), references: references.map(key), targets: targets.map(key) },
          complete: json.complete,
        };
      },
    },
  ],
  frames: () => new Map(),
};

/** `memory --unreachable`: allocations, and what refers to them. */
export const UNREACHABLE = {
  commands: (): Command[] => [
    {
      name: 'memory --unreachable',
      async ask(kernel) {
        const json = jsonOf(await describeUnreachable(kernel, undefined, () => () => {}));
        const groups = json.groups.map(({ site: _, ...group }) => group);
        return { json: { ...json, groups: byWhat(groups) }, complete: json.complete };
      },
    },
  ],
  frames: () => new Map(),
};

/** Groups by all that they are, so that another figure is a group that is gone and a new one. */
function byWhat(groups: readonly object[]) {
  return groups.map((group) => ({ key: JSON.stringify(group), ...group }));
}
