import { escapeText } from '../../base/escape.js';
import type { Frame, StackSum } from '../../contracts/stacks.js';

/** A function, and the new memory of it and of all that it called. Its callees are found when it is shown. */
interface Node {
  readonly name: string;
  bytes: number;
  /** Number of functions before its callee, from the outermost on. */
  readonly depth: number;
  /** Stacks that lead through it. */
  readonly stacks: StackSum[];
}

/** A line of a tree: its depth, and a chain of functions without a fork. */
export interface TreeLine {
  readonly depth: number;
  readonly names: readonly string[];
  readonly bytes: number;
}

/** Below this share of all a branch is not shown. */
const MIN_SHARE = 0.01;

/**
 * The tree of callers, outermost first, chains without a fork on one line; largest first. Memory is a small
 * multiple of the number of stacks: branches that are not shown are not built.
 *
 * @param most lines
 */
export function callTree(stacks: readonly StackSum[], most: number): TreeLine[] {
  const whole = stacks.reduce((sum, stack) => sum + stack.newBytes, 0);
  const lines: TreeLine[] = [];
  // A stack: the next node is last.
  const open = calleesOf({ name: '', bytes: whole, depth: 0, stacks: [...stacks] })
    .reverse()
    .map((node) => ({ node, depth: 0 }));
  while (lines.length < most) {
    const next = open.pop();
    if (!next) break;
    const { depth } = next;
    let { node } = next;
    if (node.bytes < MIN_SHARE * whole || node.bytes === 0) continue;
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

/** Largest first. */
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
    callee.bytes += stack.newBytes;
    callee.stacks.push(stack);
  }
  return [...callees.values()].sort((a, b) => b.bytes - a.bytes);
}

/** A frame for people: its function, or the file and the address in it. */
export function frameName({ symbol, module, offset }: Omit<Frame, 'guess'>): string {
  return escapeText(symbol ?? `${baseName(module)}+${offset ?? '?'}`);
}

/** The last part of a module's path. */
export function baseName(module: string): string {
  return module.startsWith('/') ? module.slice(module.lastIndexOf('/') + 1) : module;
}
