import type { MemoryAnswer, QueueBytes } from '../../../account/memory/answer.js';
import { categoryWords } from '../../../account/memory/category-names.js';
import type { Category, Owner } from '../../../account/memory/tree.js';
import { escapeText } from '../../../base/escape.js';
import { count, formatSize } from '../../../base/size.js';
import { grouped } from '../../../base/util.js';
import type { Area } from '../../html/treemap.js';
import { socketText } from '../../skb/document.js';
import { holdersText } from '../../sockets/document.js';
import { isUpperBound, ownerWords, share } from '../words.js';

/** Returns all memory by groups, categories and owners. */
export function memoryArea(answer: MemoryAnswer): Area {
  return new Areas(answer).of(answer.memory, 'unknown');
}

/** Returns the anchor of a category's row. */
export function anchorOf({ category }: Pick<Category, 'category'>): string {
  return `category-${category}`;
}

class Areas {
  readonly #answer: MemoryAnswer;

  constructor(answer: MemoryAnswer) {
    this.#answer = answer;
  }

  of(category: Category, colour: string): Area {
    const size = formatSize(category.bytes);
    return {
      lines: [categoryWords(category), size],
      description: `${categoryWords(category)}: ${this.#figures(category.bytes)}`,
      bytes: category.bytes,
      colour,
      href: `#${anchorOf(category)}`,
      parts:
        category.children.length > 0
          ? category.children.map((child) => this.of(child, category.category === 'memory' ? child.category : colour))
          : this.#owners(category, colour),
    };
  }

  #owners(category: Category, colour: string): Area[] {
    const { caches, callers, queues } = this.#answer;
    if (category.category === 'network-sockets') return this.#processes(category, queues, colour);
    const reclaimable = { 'slab-reclaimable': true, 'slab-unreclaimable': false }[category.category as string];
    if (reclaimable !== undefined) {
      return caches
        .filter((cache) => cache.reclaimable === reclaimable)
        .map(({ name, bytes }) => this.#part(category, [escapeText(name)], bytes, colour));
    }
    const vmalloc = callers
      .filter((caller) => caller.category === category.category)
      .map(({ caller, bytes }): Owner => ({ kind: 'caller', name: caller, bytes }));
    // Upper bounds may overlap.
    const own = isUpperBound(this.#answer, category) ? [] : category.owners;
    const owners = vmalloc.length > 0 ? vmalloc : own;
    return owners.map((owner) => {
      const words = owner.name === '' ? '(unknown module)' : ownerWords(owner);
      const part = this.#part(category, [words], owner.bytes, colour);
      return owner.kind === 'process' ? { ...part, short: escapeText(owner.name) } : part;
    });
  }

  /** Returns sockets by the first process that holds each. */
  #processes(category: Category, queues: readonly QueueBytes[], colour: string): Area[] {
    const byHolder = grouped(queues, ({ entry: { holders } }) => {
      const [first] = holders;
      return first === undefined ? 'no file descriptor' : `pid ${first.pid} (${escapeText(first.comm)})`;
    });
    return [...byHolder].map(([holder, own]) => {
      const bytes = own.reduce((sum, queue) => sum + queue.bytes, 0);
      const sockets = own.map(({ entry, bytes: pinned }) => {
        const part = this.#part(category, [holdersText(entry), socketText(entry)], pinned, colour);
        const { fd } = entry.holders[0] ?? {};
        const [name = '', ...others] = part.lines;
        return { ...part, lines: [fd === undefined ? name : `fd ${fd}`, ...others] };
      });
      const many = count(sockets.length, 'socket');
      const whole = this.#part(category, [holder, many], bytes, colour);
      const lines = [holder, `${formatSize(bytes)}, ${many}`];
      return { ...whole, lines, named: true, parts: sockets };
    });
  }

  #part(category: Category, words: readonly string[], bytes: number, colour: string): Area {
    const [first = '', ...more] = words;
    return {
      lines: [first, formatSize(bytes), ...more, categoryWords(category)],
      description: `${categoryWords(category)}, ${words.join(': ')}: ${this.#figures(bytes)}`,
      bytes,
      colour,
      href: `#${anchorOf(category)}`,
      parts: [],
    };
  }

  #figures(bytes: number): string {
    return `${formatSize(bytes)}, ${share(bytes, this.#answer.memory.bytes)}`;
  }
}
