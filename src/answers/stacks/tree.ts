import type { StackSum } from '../../profile/faults/stack-sums.js';
import { newBytes } from '../../profile/faults/stack-sums.js';
import { frameName } from './frame-name.js';

/** A function, and the new memory of it and of all that it called. Its callees are found when it is shown. */
interface Node {
  readonly name: string;
  bytes: number;
  /** So many functions stand before what it called, from the outermost on. */
  readonly depth: number;
  /** Stacks that lead through it. */
  readonly stacks: StackSum[];
}

/** A line of a tree: how deep it stands, and the functions that call each other alone. */
export interface TreeLine {
  readonly depth: number;
  readonly names: readonly string[];
  readonly bytes: number;
}

/** Below this share of all a branch is not shown. */
const LEAST_SHARE = 0.01;

/**
 * The callers' tree, outermost first, chains without a fork on one line; what brings most first. Tens of
 * thousands of stacks take no more than a few times their number: of branches that are not shown nothing is made.
 *
 * @param most lines
 */
export function callTree(stacks: readonly StackSum[], most: number): TreeLine[] {
  const whole = stacks.reduce((sum, stack) => sum + newBytes(stack), 0);
  const lines: TreeLine[] = [];
  // Those that are next stand last.
  const open = calleesOf({ name: '', bytes: whole, depth: 0, stacks: [...stacks] })
    .reverse()
    .map((node) => ({ node, depth: 0 }));
  while (lines.length < most) {
    const next = open.pop();
    if (!next) break;
    const { depth } = next;
    let { node } = next;
    if (node.bytes < LEAST_SHARE * whole || node.bytes === 0) continue;
    const names = [node.name];
    let callees = calleesOf(node);
    // One callee that has all of it stands on the same line.
    while (callees[0]?.bytes === node.bytes) {
      [node] = callees as [Node];
      names.push(node.name);
      callees = calleesOf(node);
    }
    lines.push({ depth, names, bytes: node.bytes });
    for (const callee of callees.reverse()) open.push({ node: callee, depth: depth + 1 });
  }
  return lines;
}

/** What brings most first. */
function calleesOf({ depth, stacks }: Node): Node[] {
  const callees = new Map<string, Node>();
  for (const stack of stacks) {
    const frame = stack.frames[stack.frames.length - 1 - depth];
    if (frame === undefined) continue;
    const name = frameName(frame);
    let callee = callees.get(name);
    if (callee === undefined) {
      callee = { name, bytes: 0, depth: depth + 1, stacks: [] };
      callees.set(name, callee);
    }
    callee.bytes += newBytes(stack);
    callee.stacks.push(stack);
  }
  return [...callees.values()].sort((a, b) => b.bytes - a.bytes);
}
