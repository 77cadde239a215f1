/** State of an allocation: reached, or not reached and referred to by another that is not reached; 0: neither. */
export const REACHED = 1;
export const HELD = 2;

/** References between allocations, which have numbers from 0 on. */
export class ReferenceGraph {
  /** {@link REACHED}, {@link HELD} or 0, by allocation. */
  readonly states: Uint8Array;
  #from = new Uint32Array(1024);
  #to = new Uint32Array(1024);
  #count = 0;
  readonly #roots: number[] = [];
  /** References in the order of their source: the first of each source, and one more entry; and targets. */
  #first: Uint32Array | undefined;
  #targets = new Uint32Array(0);

  constructor(size: number) {
    this.states = new Uint8Array(size);
  }

  /** Adds a reference. */
  add(from: number, to: number): void {
    if (from === to) return;
    const last = this.#count - 1;
    if (last >= 0 && this.#from[last] === from && this.#to[last] === to) return;
    if (this.#count === this.#from.length) {
      this.#from = widened(this.#from);
      this.#to = widened(this.#to);
    }
    this.#from[this.#count] = from;
    this.#to[this.#count++] = to;
    this.#first = undefined;
  }

  /** Adds a reference from memory that is in use. */
  root(to: number): void {
    if (this.states[to] === REACHED) return;
    this.states[to] = REACHED;
    this.#roots.push(to);
  }

  /** Marks everything that roots lead to. May be called again after more roots were added. */
  reach(): void {
    const { states } = this;
    const first = this.#inOrder();
    const stack = this.#roots;
    for (let node = stack.pop(); node !== undefined; node = stack.pop())
      for (let edge = first[node]!; edge < first[node + 1]!; edge++) this.root(this.#targets[edge]!);
    for (let node = 0; node < states.length; node++) {
      if (states[node] === REACHED) continue;
      for (let edge = first[node]!; edge < first[node + 1]!; edge++) states[this.#targets[edge]!] ||= HELD;
    }
  }

  /** The first reference of each allocation in the targets, which are then in the order of their source. */
  #inOrder(): Uint32Array {
    if (this.#first) return this.#first;
    const first = new Uint32Array(this.states.length + 1);
    for (let edge = 0; edge < this.#count; edge++) first[this.#from[edge]! + 1]!++;
    for (let number = 0; number < this.states.length; number++) first[number + 1]! += first[number]!;
    const next = first.slice();
    this.#targets = new Uint32Array(this.#count);
    for (let edge = 0; edge < this.#count; edge++) this.#targets[next[this.#from[edge]!]!++] = this.#to[edge]!;
    this.#first = first;
    return first;
  }
}

function widened(from: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const to = new Uint32Array(2 * from.length);
  to.set(from);
  return to;
}
