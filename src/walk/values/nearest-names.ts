/** Names that are looked at; a kernel has some 200,000 symbols, and a hostile table any number. */
const MOST_NAMES = 1 << 19;
/** Longer names are neither looked for nor told. */
const MOST_LENGTH = 128;
/** Cells of tables of distances that are filled at most. A kernel’s names take a tenth of it. */
const MOST_CELLS = 30_000_000;
/** Shorter words are part of too many names. */
const SHORTEST_PART = 3;

interface Near {
  readonly name: string;
  /** Small is near. */
  readonly score: number;
}

/**
 * The names most like one that there is not: by the changes that lead to them (letters added, left
 * out, replaced or swapped), then those that begin with it, then those that have it in them. Takes
 * bounded time, however many names there are.
 */
export function nearestNames(wanted: string, names: Iterable<string>, most = 3): string[] {
  const sought = wanted.toLowerCase();
  if (sought.length === 0 || sought.length > MOST_LENGTH) return [];
  const limit = Math.max(1, Math.min(6, Math.ceil(sought.length * 0.4)));
  const found: Near[] = [];
  let looked = 0;
  let cells = 0;
  for (const name of names) {
    if (++looked > MOST_NAMES) break;
    if (name.length > MOST_LENGTH) continue;
    const lower = name.toLowerCase();
    const longer = lower.length - sought.length;
    let score = Number.POSITIVE_INFINITY;
    if (Math.abs(longer) <= limit && cells < MOST_CELLS) {
      cells += sought.length * lower.length;
      const distance = changes(sought, lower, limit);
      if (distance <= limit) score = distance;
    }
    if (score > limit && sought.length >= SHORTEST_PART && longer > 0) {
      if (lower.startsWith(sought)) score = limit + longer / MOST_LENGTH;
      else if (lower.includes(sought)) score = limit + 1 + longer / MOST_LENGTH;
    }
    if (score === Number.POSITIVE_INFINITY) continue;
    if (found.length === most && score >= found[most - 1]!.score) continue;
    if (found.some((one) => one.name === name)) continue;
    found.push({ name, score });
    found.sort((a, b) => a.score - b.score);
    found.length = Math.min(found.length, most);
  }
  return found.map(({ name }) => name);
}

/** `; did you mean a, b or c?`, to follow an error’s words; '' where nothing is near. */
export function didYouMean(near: readonly string[]): string {
  if (near.length === 0) return '';
  const last = near[near.length - 1]!;
  const others = near.slice(0, -1).join(', ');
  return `; did you mean ${others ? `${others} or ` : ''}${last}?`;
}

type Rows = [Uint8Array, Uint8Array, Uint8Array];

/** Changes from one word to the other (optimal string alignment); more than `limit` is any number above. */
function changes(from: string, to: string, limit: number): number {
  let [before, last, next] = [1, 2, 3].map(() => new Uint8Array(MOST_LENGTH + 1)) as Rows;
  for (let column = 0; column <= to.length; column++) last[column] = column;
  for (let row = 1; row <= from.length; row++) {
    next[0] = row;
    let least = row;
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      let cost = Math.min(
        last[column]! + 1,
        next[column - 1]! + 1,
        last[column - 1]! + (same ? 0 : 1),
      );
      const swapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      if (row > 1 && column > 1 && swapped) cost = Math.min(cost, before[column - 2]! + 1);
      next[column] = cost;
      least = Math.min(least, cost);
    }
    if (least > limit) return least;
    [before, last, next] = [last, next, before];
  }
  return last[to.length]!;
}
