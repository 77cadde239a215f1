import { expect, test } from 'vitest';
import { HELD, REACHED, ReferenceGraph } from '../../../src/walk/references/reach.js';

test('what roots lead to is reached; what only the rest leads to is held', () => {
  const graph = new ReferenceGraph(8);
  for (const [from, to] of [
    ...([
      [0, 1],
      [1, 2],
      [2, 0],
    ] as const),
    // A cycle that nothing reaches, and what it leads to.
    ...([
      [3, 4],
      [4, 3],
      [4, 5],
    ] as const),
    // Not reached, and refers to memory in use, and to itself.
    ...([
      [6, 1],
      [6, 6],
    ] as const),
  ])
    graph.add(from, to);
  graph.root(1);
  graph.reach();
  expect([...graph.states]).toEqual([REACHED, REACHED, REACHED, HELD, HELD, HELD, 0, 0]);
  graph.root(4);
  graph.reach();
  expect([...graph.states]).toEqual([...Array<number>(6).fill(REACHED), 0, 0]);
});

test('a chain of a million allocations, against the order of their numbers', () => {
  const size = 1_000_000;
  const graph = new ReferenceGraph(size);
  for (let one = size - 1; one > 0; one--) graph.add(one, one - 1);
  graph.root(size / 2);
  graph.reach();
  expect(graph.states.findLastIndex((state) => state === REACHED)).toBe(size / 2);
  expect(graph.states.findIndex((state) => state !== REACHED)).toBe(size / 2 + 1);
  expect(graph.states[size - 1]).toBe(0);
  expect(graph.states[size - 2]).toBe(HELD);
});
