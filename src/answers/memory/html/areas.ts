import type { MemoryAnswer, QueueBytes } from '../../../account/memory/answer.js';
import type { Drawer, Owner } from '../../../account/memory/drawer.js';
import { grouped } from '../../../base/grouped.js';
import type { Area } from '../../html/areas.js';
import { socketText } from '../../skb/text.js';
import { holdersText } from '../../sockets/text.js';
import { escapeText } from '../../text/escape.js';
import { formatSize } from '../../text/size.js';
import { share } from '../tree-table.js';
import { drawerWords, ownerWords } from '../words.js';

/** All memory: groups of drawers, these, and in them whose it is as far as it adds up. */
export function memoryArea(answer: MemoryAnswer): Area {
  return new Areas(answer).of(answer.memory, 'unknown');
}

/** The anchor of a drawer's row. */
export function anchorOf({ drawer }: Pick<Drawer, 'drawer'>): string {
  return `drawer-${drawer}`;
}

class Areas {
  readonly #answer: MemoryAnswer;

  constructor(answer: MemoryAnswer) {
    this.#answer = answer;
  }

  of(drawer: Drawer, colour: string): Area {
    const size = formatSize(drawer.bytes);
    return {
      lines: [drawerWords(drawer), size],
      said: `${drawerWords(drawer)}: ${this.#figures(drawer.bytes)}`,
      bytes: drawer.bytes,
      colour,
      href: `#${anchorOf(drawer)}`,
      parts:
        drawer.children.length > 0
          ? drawer.children.map((child) =>
              this.of(child, drawer.drawer === 'memory' ? child.drawer : colour),
            )
          : this.#owners(drawer, colour),
    };
  }

  #owners(drawer: Drawer, colour: string): Area[] {
    const { caches, callers, queues } = this.#answer;
    if (drawer.drawer === 'network-sockets') return this.#processes(drawer, queues, colour);
    const reclaimable = { 'slab-reclaimable': true, 'slab-unreclaimable': false }[
      drawer.drawer as string
    ];
    if (reclaimable !== undefined) {
      return caches
        .filter((cache) => cache.reclaimable === reclaimable)
        .map(({ name, bytes }) => this.#part(drawer, [escapeText(name)], bytes, colour));
    }
    const asked = callers.filter((caller) => caller.drawer === drawer.drawer);
    const owners: readonly Owner[] = asked.length > 0 ? asked : drawer.owners;
    return owners.map((owner) => {
      const words = owner.name === '' ? '(in a module)' : ownerWords(owner);
      return this.#part(drawer, [words], owner.bytes, colour);
    });
  }

  /** Sockets, by the first process that holds each. */
  #processes(drawer: Drawer, queues: readonly QueueBytes[], colour: string): Area[] {
    const byHolder = grouped(queues, ({ entry: { holders } }) => {
      const [first] = holders;
      return first === undefined ? 'no descriptor' : `pid ${first.pid} (${escapeText(first.comm)})`;
    });
    return [...byHolder].map(([who, own]) => {
      const bytes = own.reduce((sum, queue) => sum + queue.bytes, 0);
      const sockets = own.map(({ entry, bytes: pinned }) => {
        return this.#part(drawer, [holdersText(entry), socketText(entry)], pinned, colour);
      });
      return { ...this.#part(drawer, [who], bytes, colour), parts: sockets };
    });
  }

  #part(drawer: Drawer, words: readonly string[], bytes: number, colour: string): Area {
    const [first = '', ...more] = words;
    return {
      lines: [first, formatSize(bytes), ...more, drawerWords(drawer)],
      said: `${drawerWords(drawer)}, ${words.join(': ')}: ${this.#figures(bytes)}`,
      bytes,
      colour,
      href: `#${anchorOf(drawer)}`,
      parts: [],
    };
  }

  #figures(bytes: number): string {
    return `${formatSize(bytes)}, ${share(bytes, this.#answer.memory.bytes)}`;
  }
}
