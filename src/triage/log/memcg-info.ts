import type { MemcgCounters } from '../../contracts/log-reports.js';
import type { Figure, Figures } from '../findings/declared.js';
import type { LogMessage } from './lines.js';

const CHARGES = /^(memory|swap|memory\+swap|kmem): usage (\d+)kB, limit (\d+)kB, failcnt (\d+)$/;
const STATS = /^Memory cgroup stats(?: for (.*?))?:((?: ?[a-z_]+:\d+KB)*) *$/s;
const COUNTER = /^([a-z][a-z0-9_]{1,63}) (\d+)$/;
/** Format of cgroup v1 until 5.2. */
const PAIR = /([a-z_]+):(\d+)KB/g;

/** Maximum number of cgroup limits in a report of an untrusted log. */
const MAX_GROUPS = 64;
const MAX_COUNTERS = 128;

/**
 * Whether a limit is PAGE_COUNTER_MAX or RES_COUNTER_MAX in KiB, for 64-bit and 32-bit kernels with any page
 * size.
 */
function isUnlimited(kib: number): boolean {
  return kib >= 2 ** 53 - 1024 || [4, 8, 16, 32, 64].some((page) => kib === (2 ** 31 - 1) * page);
}

interface Charge {
  readonly usage: number;
  readonly limit: number;
  readonly failures: number;
}

/** Parses the kernel's report of a memcg at its limit (mm/memcontrol.c), line by line. */
export class MemcgReader {
  readonly #charges = new Map<string, Charge>();
  readonly #groups: { readonly path: string; readonly counters: Record<string, number> }[] = [];
  #counters: Record<string, number> | undefined;
  /** The memcg at its limit, and the memcg of the selected task. Untrusted. */
  group: string | undefined;
  own: string | undefined;
  isPrinted = false;

  /** Whether the message belongs to the memcg report. */
  take({ text, whole, further }: Pick<LogMessage, 'text' | 'whole' | 'further'>): boolean {
    const isOwn = this.#takeLine(text, whole);
    if (isOwn) for (const line of further) this.#takeLine(line, line);
    this.isPrinted ||= isOwn;
    return isOwn;
  }

  #takeLine(text: string, whole: string): boolean {
    const charge = CHARGES.exec(text);
    if (charge) {
      const [, name = '', ...numbers] = charge;
      const [usage = 0, limit = 0, failures = 0] = numbers.map(Number);
      this.#charges.set(name, { usage, limit, failures });
      return true;
    }
    const counter = this.#counters && COUNTER.exec(text);
    if (counter && this.#counters) {
      const [, name = '', value] = counter;
      // An unset limit is the largest number of pages: it is left out.
      if (Object.keys(this.#counters).length < MAX_COUNTERS && Number.isSafeInteger(Number(value)))
        this.#counters[name] = Number(value);
      return true;
    }
    this.#counters = undefined;
    return this.#takeStats(text) || this.#takeLimit(whole);
  }

  #takeStats(text: string): boolean {
    const stats = STATS.exec(text);
    if (!stats) return false;
    const [, path = '', pairs = ''] = stats;
    const counters = Object.fromEntries(
      [...pairs.matchAll(PAIR)].map(([, name = '', kib]) => [name, Number(kib) * 1024]),
    );
    this.#counters = pairs === '' ? counters : undefined;
    if (this.#groups.length < MAX_GROUPS) this.#groups.push({ path, counters });
    // The tree is printed starting with the memcg at its limit.
    if (path !== '') this.group ??= path;
    return true;
  }

  #takeLimit(whole: string): boolean {
    const reached = /^Memory limit reached of cgroup (.*)$/s.exec(whole)?.[1];
    // In 3.7 to 3.13 the two halves may be separate messages.
    const first = /^Task in (.*?) killed(?: as a result of limit of (.*))?$/s.exec(whole);
    const second = /^as a result of limit of (.*)$/s.exec(whole)?.[1];
    if (first) this.own = first[1];
    const group = first?.[2] ?? reached ?? (this.own === undefined ? undefined : second);
    if (group !== undefined) this.group = group;
    return first !== null || group !== undefined;
  }

  /** Null: not printed. Limits: `unlimited` if there is none. */
  figures(): Figures {
    const figures: Record<string, Figure> = { limitBytes: null, usageBytes: null, failures: null };
    for (const [name, prefix] of [
      ['memory', ''],
      ['swap', 'swap'],
      ['memory+swap', 'memorySwap'],
      ['kmem', 'kernelMemory'],
    ] as const) {
      const charge = this.#charges.get(name);
      if (charge === undefined) continue;
      const field = (what: string) => (prefix === '' ? what : `${prefix}${what[0]?.toUpperCase()}${what.slice(1)}`);
      figures[field('limitBytes')] = isUnlimited(charge.limit) ? 'unlimited' : charge.limit * 1024;
      figures[field('usageBytes')] = charge.usage * 1024;
      figures[field('failures')] = charge.failures;
    }
    return figures;
  }

  get groups(): readonly MemcgCounters[] {
    return this.#groups;
  }
}
