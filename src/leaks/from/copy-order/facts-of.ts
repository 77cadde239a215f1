import { createHash } from 'node:crypto';
import type { ReadingMethod } from '../../readings/take.js';
import { type CopyFacts, type CopyOrder, LEAST_MARKS, MOST_MARKS } from './copy-facts.js';
import { SlabAges } from './slab-ages.js';

/** What tells the order of copies. */
export function factsOf(method: ReadingMethod): CopyFacts {
  switch (method) {
    case 'allocinfo':
      return new ProfiledLines();
    case 'page-owner':
      return new PageOwnerTimes();
    case 'page-owner-stacks':
      return new StackList();
    case 'slab-traces':
      return new SlabAges();
    case 'vmallocinfo':
      return new AreaPlaces();
  }
}

const AREA = /^(0x[0-9a-f]{1,16}-0x[0-9a-f]{1,16}) +(\d{1,15}) (\S+)/;

/**
 * /proc/vmallocinfo: many areas are held as long as the kernel runs. Their addresses, and the numbers that stand for
 * addresses, are others after each start. Which of two copies is the later one, nothing tells.
 */
class AreaPlaces implements CopyFacts {
  readonly #areas = new Set<string>();

  line(text: string): void {
    const [, place = '', size, caller] = AREA.exec(text) ?? [];
    // kernel.kptr_restrict=2 prints zeros.
    if (/^[0x-]*$/.test(place) || this.#areas.size >= MOST_MARKS) return;
    this.#areas.add(`${place} ${size} ${caller}`);
  }

  after(earlier: AreaPlaces): CopyOrder {
    const least = Math.min(this.#areas.size, earlier.#areas.size);
    const common = [...this.#areas].filter((area) => earlier.#areas.has(area)).length;
    return least >= LEAST_MARKS && common < least / 10 ? 'unrelated' : 'untold';
  }
}

const LINE = /^ *-?\d{1,18} +-?\d{1,18} (\S{1,512}:\d{1,9} func:\S{1,512})/;

/** Another build has other lines, a few at least; a copy may be damaged. */
const SAME = 0.99;

/**
 * /proc/allocinfo: it has a line for each place in the kernel's source that allocates, also where nothing is held; those
 * of modules aside they are the same as long as the kernel is. It counts what is held, so that no figure only
 * grows: which of two copies is the later one, and whether they are of one start, nothing tells.
 */
class ProfiledLines implements CopyFacts {
  readonly #lines = new Set<string>();

  line(text: string): void {
    const line = LINE.exec(text)?.[1];
    if (line !== undefined && this.#lines.size < MOST_MARKS) this.#lines.add(line);
  }

  after(earlier: ProfiledLines): CopyOrder {
    const least = Math.min(this.#lines.size, earlier.#lines.size);
    const common = [...this.#lines].filter((line) => earlier.#lines.has(line)).length;
    return least >= LEAST_MARKS && common < SAME * least ? 'unrelated' : 'untold';
  }
}

/**
 * page_owner_stacks: the kernel puts a stack that it meets for the first time before all others, and takes none away
 * (add_stack_record_to_list of mm/page_owner.c). So stacks that both copies have are in one order, unless the copies are
 * of two starts. Which is the later one that does not tell: stacks that hold nothing are not printed, so that one
 * that is missing may be new or over.
 */
class StackList implements CopyFacts {
  readonly #stacks: string[] = [];
  #open = createHash('sha1');

  line(text: string): void {
    if (text.startsWith(' ')) this.#open.update(`${text}\n`);
    if (!text.startsWith('nr_base_pages:')) return;
    const stack = this.#open.digest('base64');
    this.#open = createHash('sha1');
    if (this.#stacks.length < MOST_MARKS) this.#stacks.push(stack);
  }

  after(earlier: StackList): CopyOrder {
    const places = new Map(earlier.#stacks.map((stack, at) => [stack, at]));
    const common = this.#stacks.flatMap((stack) => places.get(stack) ?? []);
    const least = Math.min(this.#stacks.length, earlier.#stacks.length);
    if (least < LEAST_MARKS) return 'untold';
    if (common.length < least / 4) return 'unrelated';
    const back = common.filter((at, index) => index > 0 && at < (common[index - 1] ?? 0)).length;
    return back > common.length / 10 ? 'unrelated' : 'untold';
  }
}

const HEAD = /^Page allocated via order \d.*, ts (\d{1,20}) ns(?:, free_ts \d{1,20} ns)?$/;

/**
 * page_owner, from 5.11 on: when each block was allocated. Something is allocated at any time, so that the newest block
 * tells when a copy was made. What was there when the earlier copy was made, and is there still, was in that: almost
 * none of it is where the two are of two starts of a kernel. (Blocks that move keep their times, and while
 * a copy is made blocks come and go.)
 */
class PageOwnerTimes implements CopyFacts {
  /** Nanoseconds since the kernel began, of the first blocks. */
  readonly #times: number[] = [];
  #newest = -1;

  line(text: string): void {
    const time = text.startsWith('Page allocated') ? HEAD.exec(text)?.[1] : undefined;
    if (time === undefined) return;
    this.#newest = Math.max(this.#newest, Number(time));
    if (this.#times.length < MOST_MARKS) this.#times.push(Number(time));
  }

  after(earlier: PageOwnerTimes): CopyOrder {
    if (earlier.#newest < 0 || this.#newest < 0) return 'untold';
    if (this.#newest <= earlier.#newest) return 'earlier';
    const known = new Set(earlier.#times);
    // Frames come in their order: of the first ones those of the earlier copy are kept too.
    const first = this.#times.slice(0, MOST_MARKS / 4);
    const old = first.filter((time) => time > 0 && time < earlier.#newest / 2);
    const met = old.filter((time) => known.has(time)).length;
    return old.length >= LEAST_MARKS && met < old.length / 4 ? 'unrelated' : 'later';
  }
}
