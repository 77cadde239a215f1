/**
 * Maximum number of compared names; a kernel has about 200,000 symbols, and an untrusted table may have any
 * number.
 */
const MOST_NAMES = 1 << 19;
/** Longer names are neither searched nor suggested. */
const MOST_LENGTH = 128;
/** Maximum number of computed cells of distance tables. A kernel’s names need a tenth of it. */
const MOST_CELLS = 30_000_000;
/** Minimum length of a substring match: shorter words occur in too many names. */
const SHORTEST_PART = 3;

interface Near {
  readonly name: string;
  /** Lower is more similar. */
  readonly score: number;
}

/**
 * The most similar existing names: by edit distance (insertions, deletions, replacements, swaps), then those
 * that begin with it, then those that contain it. Time is limited, however many names there are.
 */
export function nearestNames(wanted: string, names: Iterable<string>, most = 3): string[] {
  const wantedLower = wanted.toLowerCase();
  if (wantedLower.length === 0 || wantedLower.length > MOST_LENGTH) return [];
  const { length } = wantedLower;
  // Two changes make most short words another one.
  const limit = length <= 5 ? 1 : length <= 8 ? 2 : Math.min(6, Math.ceil(length * 0.4));
  const found: Near[] = [];
  let looked = 0;
  let cells = 0;
  for (const name of names) {
    if (++looked > MOST_NAMES) break;
    if (name.length > MOST_LENGTH) continue;
    const lower = name.toLowerCase();
    const longer = lower.length - wantedLower.length;
    let score = Number.POSITIVE_INFINITY;
    if (Math.abs(longer) <= limit && cells < MOST_CELLS) {
      cells += wantedLower.length * lower.length;
      const distance = changes(wantedLower, lower, limit);
      if (distance <= limit) score = distance;
    }
    if (score > limit && wantedLower.length >= SHORTEST_PART && longer > 0) {
      if (lower.startsWith(wantedLower)) score = limit + longer / MOST_LENGTH;
      else if (containsWord(lower, wantedLower)) score = limit + 1 + longer / MOST_LENGTH;
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

/** Whether a name contains another from the beginning of a word on: `hang` is not part of `sum-changed`. */
function containsWord(name: string, part: string): boolean {
  for (let at = name.indexOf(part); at >= 0; at = name.indexOf(part, at + 1))
    if (!/[a-z0-9]/.test(name[at - 1] ?? ' ')) return true;
  return false;
}

/** Returns `; did you mean a, b or c?`, to append to an error message; '' if nothing is similar. */
export function didYouMean(near: readonly string[]): string {
  if (near.length === 0) return '';
  const last = near[near.length - 1]!;
  const others = near.slice(0, -1).join(', ');
  return `; did you mean ${others ? `${others} or ` : ''}${last}?`;
}

type Rows = [Uint8Array, Uint8Array, Uint8Array];

/** Returns the edit distance of two words (optimal string alignment); above `limit`, any higher number. */
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
