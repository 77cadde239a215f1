import type { StackSum } from '../../trace/faults/stack-sums.js';
import { newBytes } from '../../trace/faults/stack-sums.js';
import { frameName } from './frame-name.js';

/** A function, and the new memory of it and of all that it called. */
interface Node {
  readonly name: string;
  bytes: number;
  readonly callees: Map<string, Node>;
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
 * The callers' tree, outermost first, chains without a fork on one line; what brings most first.
 *
 * @param most lines
 */
export function callTree(stacks: readonly StackSum[], most: number): TreeLine[] {
  const root: Node = { name: '', bytes: 0, callees: new Map() };
  for (const stack of stacks) {
    const bytes = newBytes(stack);
    root.bytes += bytes;
    let node = root;
    for (const frame of stack.frames.toReversed()) {
      const name = frameName(frame);
      const next: Node = node.callees.get(name) ?? { name, bytes: 0, callees: new Map() };
      node.callees.set(name, next);
      next.bytes += bytes;
      node = next;
    }
  }
  const lines: TreeLine[] = [];
  const open = sorted(root).map((node) => ({ node, depth: 0 }));
  while (lines.length < most) {
    const next = open.shift();
    if (!next) break;
    if (next.node.bytes < LEAST_SHARE * root.bytes || next.node.bytes === 0) continue;
    const names = [next.node.name];
    let { node } = next;
    // One callee that has all of it stands on the same line.
    for (let [only] = node.callees.values(); only?.bytes === node.bytes; ) {
      names.push(only.name);
      node = only;
      [only] = node.callees.values();
    }
    lines.push({ depth: next.depth, names, bytes: node.bytes });
    open.unshift(...sorted(node).map((callee) => ({ node: callee, depth: next.depth + 1 })));
  }
  return lines;
}

function sorted({ callees }: Node): Node[] {
  return [...callees.values()].toSorted((a, b) => b.bytes - a.bytes);
}
