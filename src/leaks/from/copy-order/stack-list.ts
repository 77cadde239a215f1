import { createHash } from 'node:crypto';
import { type CopyFacts, type CopyOrder, LEAST_MARKS, MOST_MARKS } from './copy-facts.js';

/**
 * page_owner_stacks: the kernel puts a stack that it meets for the first time before all others, and takes none away
 * (add_stack_record_to_list of mm/page_owner.c). So stacks that both copies have are in one order, unless the copies are
 * of two starts. Which is the later one that does not tell: stacks that hold nothing are not printed, so that one
 * that is missing may be new or over.
 */
export class StackList implements CopyFacts {
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
