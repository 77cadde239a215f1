import type { Drawer } from './drawer.js';

/** Bytes of each drawer, groups too, at one look. */
export type DrawerBytes = ReadonlyMap<Drawer['drawer'], number>;

/** What a drawer has more (less: negative) than at another look, in bytes; null: there was none before. */
export interface DrawerChange {
  readonly drawer: Drawer['drawer'];
  readonly sinceFirst: number | null;
  readonly sinceLast: number | null;
}

/** One of several looks at a running machine. */
export interface Look {
  /** From 1 on. */
  readonly number: number;
  /** When it was done. */
  readonly at: Date;
  readonly changes: readonly DrawerChange[];
}

/** Compares each look with the first and with the one before; keeps no more than these two. */
export class Looks {
  #first: DrawerBytes | undefined;
  #last: DrawerBytes | undefined;
  #number = 0;

  /** How many there were. */
  get count(): number {
    return this.#number;
  }

  next({ memory }: { readonly memory: Drawer }, at: Date): Look {
    const bytes = new Map(drawersOf(memory).map((drawer) => [drawer.drawer, drawer.bytes]));
    const since = (other: DrawerBytes | undefined, drawer: Drawer['drawer']) => {
      const before = other?.get(drawer);
      return before === undefined ? null : (bytes.get(drawer) ?? 0) - before;
    };
    const changes = [...bytes.keys()].map((drawer) => ({
      drawer,
      sinceFirst: since(this.#first, drawer),
      sinceLast: since(this.#last, drawer),
    }));
    this.#first ??= bytes;
    this.#last = bytes;
    return { number: ++this.#number, at, changes };
  }
}

function drawersOf(drawer: Drawer): Drawer[] {
  return [drawer, ...drawer.children.flatMap(drawersOf)];
}
