import { expect, test } from 'vitest';
import type { Drawer, MemoryAnswer } from '../../../src/account/memory/answer.js';
import { DRAWERS, type DrawerName, drawerFacts } from '../../../src/account/memory/drawers.js';
import { memoryJson } from '../../../src/report/memory/json.js';
import { memorySchema } from '../../../src/report/memory/schema.js';
import { memoryText } from '../../../src/report/memory/text.js';

const PAGE = 4096;

function drawer(name: Drawer['drawer'], frames: number, more: Partial<Drawer> = {}): Drawer {
  return {
    ...{ drawer: name, frames, bytes: frames * PAGE, known: 'walked', counterBytes: null },
    ...{ owners: [], children: [], complete: true, elsewhere: [], ...more },
  };
}

/** An answer in which these drawers have frames. */
function answerOf(
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
      ...{ release: '6.1.0', arch: 'x86_64', pageSize: PAGE, source: 'vmcore', engine: 'native' },
      live: false,
    },
    source: 'vmcore',
    memory: drawer('memory', all, { children: groups }),
    ...{ loose: undefined, census: undefined, drift: 0, caches: [], callers: [] },
    ...{ warnings: [], complete: true },
  };
}

const options = { limit: 20, source: '--vmcore dump', width: null };

test('the first line says how much, in whose hands, and where the most is', () => {
  const text = memoryText(answerOf({ 'free-buddy': 256, anonymous: 512, vmalloc: 768 }), options);
  expect(text.split('\n')[0]).toBe(
    '6.00 MiB: 1.00 MiB free, 2.00 MiB in applications, 3.00 MiB in the kernel, 0 set aside at boot. The most is in one drawer: vmalloc, 3.00 MiB.',
  );
});

test('drawers with nothing in them have no row', () => {
  const text = memoryText(answerOf({ 'free-buddy': 256 }), options);
  expect(text).not.toContain('vmalloc');
  expect(text).toContain('buddy allocator');
});

test('a drawer that is not known whole says so, and why, even if nothing was found', () => {
  const text = memoryText(
    answerOf({ 'free-buddy': 256 }, { complete: false, why: 'a \u001b[31mlist is torn' }),
    options,
  );
  expect(text).toMatch(/^ {2}vmalloc +≥ 0/m);
  expect(text).toContain('Not whole: vmalloc: a ');
  expect(text).not.toContain('\u001b');
});

test('names out of a dump are escaped', () => {
  const owners = [{ kind: 'caller', name: 'evil\u001b]0;t\u0007', bytes: PAGE }] as const;
  const text = memoryText(answerOf({ vmalloc: 10 }, { owners }), options);
  expect(text).toContain('evil');
  expect(text).not.toContain('\u001b');
});

test('the JSON keeps its schema, and its differences', () => {
  const json = memoryJson(answerOf({ vmalloc: 10 }, { counterBytes: 8 * PAGE }));
  expect(memorySchema.parse(json)).toEqual(json);
  const kernel = json.memory.children.find((child) => child.drawer === 'kernel');
  const vmalloc = kernel?.children.find((child) => child.drawer === 'vmalloc');
  expect(vmalloc).toMatchObject({ counterBytes: 8 * PAGE, differenceBytes: 2 * PAGE });
});
