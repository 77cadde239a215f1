import type { MemoryAnswer } from '../../../src/account/memory/answer.js';
import type { Drawer } from '../../../src/account/memory/drawer.js';
import { DRAWERS, type DrawerName, drawerFacts } from '../../../src/account/memory/drawers.js';

const PAGE = 4096;

function drawer(name: Drawer['drawer'], frames: number, more: Partial<Drawer> = {}): Drawer {
  return {
    drawer: name,
    frames,
    bytes: frames * PAGE,
    known: 'walked',
    counterBytes: null,
    owners: [],
    children: [],
    complete: true,
    elsewhere: [],
    ...more,
  };
}

/** An answer in which these drawers have frames. */
export function answerOf(
  frames: Partial<Record<DrawerName, number>>,
  more: Partial<Drawer> = {},
): MemoryAnswer {
  const groups = (['free', 'applications', 'kernel', 'reserved', 'unknown'] as const).map(
    (group) => {
      const children = DRAWERS.filter((name) => drawerFacts(name).group === group).map((name) =>
        drawer(name, frames[name] ?? 0, name === 'vmalloc' ? more : {}),
      );
      const sum = children.reduce((all, child) => all + child.frames, 0);
      return drawer(group, sum, { children, complete: children.every(({ complete }) => complete) });
    },
  );
  const all = groups.reduce((sum, group) => sum + group.frames, 0);
  return {
    kernel: {
      release: '6.1.0',
      arch: 'x86_64',
      pageSize: PAGE,
      source: 'vmcore',
      engine: 'native',
      live: false,
    },
    source: 'vmcore',
    memory: drawer('memory', all, { children: groups }),
    loose: undefined,
    census: undefined,
    queues: [],
    drift: 0,
    caches: [],
    callers: [],
    zones: [],
    warnings: [],
    complete: true,
  };
}
