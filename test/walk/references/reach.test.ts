import { expect, test } from 'vitest';
import { HELD, REACHED, ReferenceGraph } from '../../../src/walk/references/reach.js';

test('marks allocations that roots reach, and those that only unreached ones reference', () => {
  const graph = new ReferenceGraph(8);
  for (const [from, to] of [
    [0, 1],
    [1, 2],
    [2, 0],
    // A cycle that no root reaches, and an allocation that it references.
    [3, 4],
    [4, 3],
    [4, 5],
    // Unreached, but it references memory in use and itself.
    [6, 1],
    [6, 6],
  ] as const)
    graph.add(from, to);
  graph.root(1);
  graph.reach();
  expect([...graph.states]).toEqual([REACHED, REACHED, REACHED, HELD, HELD, HELD, 0, 0]);
  graph.root(4);
  graph.reach();
  expect([...graph.states]).toEqual([...Array<number>(6).fill(REACHED), 0, 0]);
});

test('follows a chain of a million allocations against their numeric order', () => {
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
