import type { Drawer } from './drawer.js';
import { DRAWERS, type DrawerGroup, type DrawerName, drawerFacts } from './drawers.js';

/** The parts of all memory. */
const GROUPS: readonly DrawerGroup[] = ['free', 'applications', 'kernel', 'reserved', 'unknown'];

interface Leaves {
  readonly known: Drawer['known'];
  readonly leaf: (drawer: DrawerName) => Drawer;
  /** Bytes that the kernel counts of a group, or of all; null, or left out: it does not. */
  readonly counter?: (of: DrawerGroup | 'memory') => number | null;
}

/** All drawers as one tree: siblings sum to their parent. */
export function leafTree({ known, leaf, counter = () => null }: Leaves): Drawer {
  const parent = (drawer: DrawerGroup | 'memory', children: readonly Drawer[]): Drawer => ({
    drawer,
    frames: children.reduce((all, child) => all + child.frames, 0),
    bytes: children.reduce((all, child) => all + child.bytes, 0),
    known,
    counterBytes: counter(drawer),
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
