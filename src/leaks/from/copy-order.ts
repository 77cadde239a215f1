import { createHash } from 'node:crypto';
import type { ReadingMethod } from '../readings/take.js';

/**
 * The order of two copies. `later`: the second is later. `earlier`: the second is earlier. `unrelated`: they
 * are of two machines or two boots. `untold`: they contain nothing that shows it.
 */
export type CopyOrder = 'later' | 'earlier' | 'unrelated' | 'untold';

/** Facts of one copy about its time and machine, collected line by line. Bounded. */
interface CopyFacts {
  line(text: string): void;
  /** @param earlier facts of the copy that is given as the previous one, of the same method */
  after(earlier: this): CopyOrder;
}

/** Maximum number of lines, blocks or stacks that identify a copy. */
const MAX_MARKS = 100_000;

/** Minimum number of compared values. */
const MIN_MARKS = 8;

const AGES_HEAD = /^ {0,6}\d{1,15} \S.* age=(?:\d{1,15}\/\d{1,15}\/)?(\d{1,15})(?: |$)/;

/** Maximum ticks for reading all objects of a cache. */
const SCAN_TICKS = 2;

/** Minimum number of stacks that must agree: ages that match to a tick are no coincidence. */
const MIN_AGREED = 3;

/**
 * The oldest object must be older than the time between two copies by this factor: allocations of a service
 * that was restarted meanwhile are younger.
 */
const MIN_OLD = 3;

/**
 * SLUB traces: age of the oldest object of each stack, in ticks of the kernel's clock (usually 250 per
 * second). An object that is still held is older in the later copy by the time between the copies, which is
 * the same for all stacks.
 */
class SlabAges implements CopyFacts {
  readonly #oldest = new Map<string, number>();
  #age: number | undefined;
  #stack = '';

  line(text: string): void {
    if (text.startsWith('        ') && this.#age !== undefined) {
      if (this.#stack.length < 8192) this.#stack += `${text}\n`;
      return;
    }
    this.#close();
    const age = AGES_HEAD.exec(text)?.[1];
    if (age === undefined) return;
    this.#age = Number(age);
    this.#stack = `${text.trimStart().split(' ')[1]}\n`;
  }

  #close(): void {
    const [stack, age] = [this.#stack, this.#age];
    this.#age = undefined;
    if (age === undefined) return;
    if (this.#oldest.size >= MAX_MARKS && !this.#oldest.has(stack)) return;
    this.#oldest.set(stack, Math.max(age, this.#oldest.get(stack) ?? 0));
  }

  after(earlier: SlabAges): CopyOrder {
    this.#close();
    earlier.#close();
    const older = [...this.#oldest].flatMap(([stack, age]) => {
      const before = earlier.#oldest.get(stack);
      return before === undefined ? [] : [age - before];
    });
    const between = commonAgeDifference(older.toSorted((a, b) => a - b));
    if (between === null) return 'untold';
    const [first, second] = [oldestOf(earlier.#oldest), oldestOf(this.#oldest)];
    const isSame = Math.abs(second - first - between) <= spread(between);
    if (!isSame || Math.min(first, second) < MIN_OLD * Math.abs(between)) return 'untold';
    return between > 0 ? 'later' : 'earlier';
  }
}

function oldestOf(ages: ReadonlyMap<string, number>): number {
  let oldest = 0;
  for (const age of ages.values()) oldest = Math.max(oldest, age);
  return oldest;
}

/** Ticks by which equal times may differ. */
function spread(ticks: number): number {
  return SCAN_TICKS + Math.abs(ticks) / 100;
}

/**
 * Ticks by which most objects are older; null if no majority agrees.
 *
 * @param older sorted
 */
function commonAgeDifference(older: readonly number[]): number | null {
  const middle = older[Math.floor(older.length / 2)];
  if (middle === undefined) return null;
  const about = spread(middle);
  const agree = older.filter((ticks) => Math.abs(ticks - middle) <= about).length;
  const isOne = Math.abs(middle) > 2 * about && agree >= MIN_AGREED && agree > older.length / 2;
  return isOne ? middle : null;
}

/** Facts that order copies. */
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
 * /proc/vmallocinfo: many areas exist until shutdown. Their addresses, or the numbers printed instead, differ
 * after each boot. Nothing shows which of two copies is later.
 */
class AreaPlaces implements CopyFacts {
  readonly #areas = new Set<string>();

  line(text: string): void {
    const [, place = '', size, caller] = AREA.exec(text) ?? [];
    // kernel.kptr_restrict=2 prints zeros.
    if (/^[0x-]*$/.test(place) || this.#areas.size >= MAX_MARKS) return;
    this.#areas.add(`${place} ${size} ${caller}`);
  }

  after(earlier: AreaPlaces): CopyOrder {
    const least = Math.min(this.#areas.size, earlier.#areas.size);
    const common = [...this.#areas].filter((area) => earlier.#areas.has(area)).length;
    return least >= MIN_MARKS && common < least / 10 ? 'unrelated' : 'untold';
  }
}

const LINE = /^ *-?\d{1,18} +-?\d{1,18} (\S{1,512}:\d{1,9} func:\S{1,512})/;

/**
 * Minimum share of common lines: another build differs in at least a few lines, and a copy may be damaged.
 */
const SAME = 0.99;

/**
 * /proc/allocinfo: it has a line for each allocation site in the kernel source, even if nothing is held.
 * Except for modules, the lines of one kernel are always the same. Its counts are of held memory and may
 * fall, so nothing shows which of two copies is later, or whether they are of one boot.
 */
class ProfiledLines implements CopyFacts {
  readonly #lines = new Set<string>();

  line(text: string): void {
    const line = LINE.exec(text)?.[1];
    if (line !== undefined && this.#lines.size < MAX_MARKS) this.#lines.add(line);
  }

  after(earlier: ProfiledLines): CopyOrder {
    const least = Math.min(this.#lines.size, earlier.#lines.size);
    const common = [...this.#lines].filter((line) => earlier.#lines.has(line)).length;
    return least >= MIN_MARKS && common < SAME * least ? 'unrelated' : 'untold';
  }
}

/**
 * page_owner_stacks: the kernel inserts a new stack before all others, and removes none
 * (add_stack_record_to_list, mm/page_owner.c). Common stacks of two copies have the same order unless they
 * are of two boots. It does not show which copy is later: stacks that hold nothing are not printed, so a
 * missing stack may be new or released.
 */
class StackList implements CopyFacts {
  readonly #stacks: string[] = [];
  #open = createHash('sha1');

  line(text: string): void {
    if (text.startsWith(' ')) this.#open.update(`${text}\n`);
    if (!text.startsWith('nr_base_pages:')) return;
    const stack = this.#open.digest('base64');
    this.#open = createHash('sha1');
    if (this.#stacks.length < MAX_MARKS) this.#stacks.push(stack);
  }

  after(earlier: StackList): CopyOrder {
    const places = new Map(earlier.#stacks.map((stack, at) => [stack, at]));
    const common = this.#stacks.flatMap((stack) => places.get(stack) ?? []);
    const least = Math.min(this.#stacks.length, earlier.#stacks.length);
    if (least < MIN_MARKS) return 'untold';
    if (common.length < least / 4) return 'unrelated';
    const back = common.filter((at, index) => index > 0 && at < (common[index - 1] ?? 0)).length;
    return back > common.length / 10 ? 'unrelated' : 'untold';
  }
}

const HEAD = /^Page allocated via order \d.*, ts (\d{1,20}) ns(?:, free_ts \d{1,20} ns)?$/;

/**
 * page_owner since 5.11: allocation time of each block. Allocations happen at any time, so the newest block
 * shows when a copy was made. Blocks that existed at the earlier copy and still exist must be in it; if the
 * copies are of two boots, almost none are. (Migrated blocks keep their times, and blocks change while a copy
 * is made.)
 */
class PageOwnerTimes implements CopyFacts {
  /** Allocation times of the first blocks, nanoseconds since boot. */
  readonly #times: number[] = [];
  #newest = -1;

  line(text: string): void {
    const time = text.startsWith('Page allocated') ? HEAD.exec(text)?.[1] : undefined;
    if (time === undefined) return;
    this.#newest = Math.max(this.#newest, Number(time));
    if (this.#times.length < MAX_MARKS) this.#times.push(Number(time));
  }

  after(earlier: PageOwnerTimes): CopyOrder {
    if (earlier.#newest < 0 || this.#newest < 0) return 'untold';
    if (this.#newest <= earlier.#newest) return 'earlier';
    const known = new Set(earlier.#times);
    // Frames are in ascending order: times of the first frames of the earlier copy are kept, too.
    const first = this.#times.slice(0, MAX_MARKS / 4);
    const old = first.filter((time) => time > 0 && time < earlier.#newest / 2);
    const met = old.filter((time) => known.has(time)).length;
    return old.length >= MIN_MARKS && met < old.length / 4 ? 'unrelated' : 'later';
  }
}
