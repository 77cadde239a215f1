import type { Category } from './category.js';

/** The categories that are no groups. */
export function leaves(category: Category): Category[] {
  return category.children.length === 0 ? [category] : category.children.flatMap(leaves);
}
