import type { Drawer } from './drawer.js';
import { DRAWERS, type DrawerName, drawerFacts } from './drawers.js';
import { GROUPS } from './tree.js';

/** Drawers of a machine whose pages were not walked, as one tree: siblings sum to their parent. */
export function leafTree(known: Drawer['known'], leaf: (drawer: DrawerName) => Drawer): Drawer {
  const parent = (drawer: Drawer['drawer'], children: readonly Drawer[]): Drawer => ({
    drawer,
    frames: children.reduce((all, child) => all + child.frames, 0),
    bytes: children.reduce((all, child) => all + child.bytes, 0),
    known,
    counterBytes: null,
    owners: [],
    children,
    complete: children.every(({ complete }) => complete),
    elsewhere: [],
  });
  return parent(
    'memory',
    GROUPS.map((group) =>
      parent(group, DRAWERS.filter((drawer) => drawerFacts(drawer).group === group).map(leaf)),
    ),
  );
}
