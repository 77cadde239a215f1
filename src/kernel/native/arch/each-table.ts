/** More than any machine has for its kernel's half: 16 GiB of tables, which map 8 PiB. */
const MOST_TABLES = 2 ** 22;

/**
 * Every table of a tree of page tables, each once: several entries may lead to one.
 *
 * @param root physical address of the top one
 * @param below the tables that one leads to; `left` is how many levels are below it
 */
export function* eachTable(
  root: number,
  levels: number,
  below: (table: number, left: number) => readonly number[],
): Generator<number> {
  const seen = new Set([root]);
  let level = [root];
  yield root;
  for (let left = levels - 1; left > 0; left--) {
    const next: number[] = [];
    for (const table of level) {
      for (const one of below(table, left)) {
        if (seen.has(one) || seen.size >= MOST_TABLES) continue;
        seen.add(one);
        next.push(one);
        yield one;
      }
    }
    level = next;
  }
}
