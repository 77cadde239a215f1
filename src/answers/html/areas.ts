import { type HierarchyRectangularNode, hierarchy, treemap } from 'd3-hierarchy';
import { formatCount } from '../text/size.js';

/** Something that a treemap shows: a part of the whole, with parts of its own or without. */
export interface Area {
  /** Lines for its cell, what matters most first: as many are shown as there is room for. Escaped. */
  readonly lines: readonly string[];
  /** The whole of it in words, for who cannot see the cell, and where it is too small. Escaped. */
  readonly said: string;
  readonly bytes: number;
  /** One of the colours that style.ts has. */
  readonly colour: string;
  /** Where the page tells more; ours. */
  readonly href?: string;
  readonly parts: readonly Area[];
}

/** A rectangle in parts of what it lies in: 0 to 1. */
export interface Place {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** An area with its place in its parent, once for each shape of the whole. */
export interface Placed {
  readonly area: Area;
  readonly places: readonly Place[];
  readonly parts: readonly Placed[];
}

/** Smaller parts of the whole cannot be seen, or be met with a finger. */
const LEAST = 1 / 1500;
/** Of one area; others are one cell together. */
const MOST_PARTS = 24;

/**
 * Where everything lies: the area of each cell is its part of the whole's, and the largest come first.
 *
 * @param shapes width over height of the whole, for each way to draw it
 */
export function placeAreas(whole: Area, shapes: readonly number[]): Placed {
  const seen = gathered(whole, whole.bytes * LEAST);
  const layouts = shapes.map((shape) => {
    const root = hierarchy(seen, ({ parts }) => parts)
      .sum(({ bytes, parts }) => (parts.length > 0 ? 0 : bytes))
      .sort((a, b) => (b.value ?? 0) - (a.value ?? 0));
    return treemap<Area>().size([shape, 1])(root);
  });
  return placed(layouts);
}

/**
 * An area whose parts add up to it. What is too small to be seen, and what no part has, is one cell; parts
 * that are more than the whole overlap, and are not shown.
 */
function gathered(area: Area, least: number): Area {
  const sum = area.parts.reduce((all, { bytes }) => all + bytes, 0);
  if (sum === 0 || sum > area.bytes) return { ...area, parts: [] };
  const sorted = area.parts.toSorted((a, b) => b.bytes - a.bytes);
  const shown = sorted.slice(0, MOST_PARTS).filter(({ bytes }) => bytes >= least);
  const parts = shown.map((part) => gathered(part, least));
  const rest = area.bytes - shown.reduce((all, { bytes }) => all + bytes, 0);
  const small = sorted.filter(({ bytes }) => bytes > 0).length - shown.length;
  return { ...area, parts: rest > 0 ? [...parts, restOf(area, rest, small)] : parts };
}

function restOf({ said, colour, href }: Area, bytes: number, small: number): Area {
  const rest = small > 0 ? `the rest, ${formatCount(small)} smaller ones among it` : 'the rest';
  return {
    lines: ['the rest'],
    said: `${rest} of: ${said}`,
    bytes,
    colour,
    parts: [],
    ...(href === undefined ? {} : { href }),
  };
}

/** The same node of each layout, as they are sorted alike. */
function placed(nodes: readonly HierarchyRectangularNode<Area>[]): Placed {
  const [first] = nodes;
  if (!first) throw new TypeError('a treemap has a shape');
  return {
    area: first.data,
    places: nodes.map(placeOf),
    parts: (first.children ?? []).map((_, index) =>
      placed(nodes.map(({ children }) => children![index]!)),
    ),
  };
}

function placeOf({ parent, x0, y0, x1, y1 }: HierarchyRectangularNode<Area>): Place {
  const outer = parent ?? { x0, y0, x1, y1 };
  const [width, height] = [outer.x1 - outer.x0, outer.y1 - outer.y0];
  return {
    left: (x0 - outer.x0) / width,
    top: (y0 - outer.y0) / height,
    width: (x1 - x0) / width,
    height: (y1 - y0) / height,
  };
}
