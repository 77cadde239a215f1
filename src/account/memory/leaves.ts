import type { Drawer } from './drawer.js';

/** The drawers that are no groups. */
export function leaves(drawer: Drawer): Drawer[] {
  return drawer.children.length === 0 ? [drawer] : drawer.children.flatMap(leaves);
}
