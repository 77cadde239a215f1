import { type MemoryAnswer, makeAnswer } from '../../../src/account/memory/answer.js';
import { type Category, makeCategory } from '../../../src/account/memory/tree.js';
import { CATEGORIES, type CategoryName, categoryFacts } from '../../../src/records/categories.js';

const PAGE = 4096;

function category(name: Category['category'], frames: number, more: Partial<Category> = {}): Category {
  return makeCategory({ category: name, frames, bytes: frames * PAGE, known: 'walked', complete: true, ...more });
}

/** An answer with frames in these categories. @param more of one of them */
export function answerOf(
  frames: Partial<Record<CategoryName, number>>,
  more: Partial<Category> = {},
  of: CategoryName = 'vmalloc',
): MemoryAnswer {
  const groups = (['free', 'applications-and-files', 'kernel', 'reserved', 'unknown'] as const).map((group) => {
    const children = CATEGORIES.filter((name) => categoryFacts(name).group === group).map((name) =>
      category(name, frames[name] ?? 0, name === of ? more : {}),
    );
    const sum = children.reduce((all, child) => all + child.frames, 0);
    return category(group, sum, { children, complete: children.every(({ complete }) => complete) });
  });
  const all = groups.reduce((sum, group) => sum + group.frames, 0);
  return makeAnswer({
    kernel: { release: '6.1.0', arch: 'x86_64', pageSize: PAGE, source: 'vmcore', engine: 'native' },
    source: 'vmcore',
    memory: category('memory', all, { children: groups }),
    warnings: [],
    complete: true,
  });
}
