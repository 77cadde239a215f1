import type { Origin } from '../contracts/common.js';
import type { HostState, Note } from './state.js';

/**
 * Maximum difference in seconds between boot times of the same boot: NTP adjusts the clock, and a dump's time
 * is that of its last tick.
 */
const SAME_BOOT = 120;

/** Facts that identify a boot. */
type BootFacts = Pick<HostState, 'origin' | 'release'>;

/** Inputs in chronological order. */
export interface Order {
  /** The earliest first if known; otherwise in the given order. */
  readonly states: readonly HostState[];
  /** Seconds since the first; null: unknown, or of several boots. */
  readonly seconds: readonly number[] | null;
  /** Whether all are of one boot of one host; null: unknown. */
  readonly sameBoot: boolean | null;
  readonly notes: readonly Note[];
}

/** Sorts inputs by time, and determines whether they are of one boot of one host. */
export function inOrder(given: readonly HostState[]): Order {
  const hosts = namesOf(given);
  const boots = given.slice(1).map((state, at) => sameBoot(given[at]!, state));
  const known = boots.every((boot) => boot !== null);
  // Clocks of adjacent inputs may agree although the boot ids of others differ.
  const ids = new Set(given.flatMap(({ origin }) => origin.bootId ?? []));
  const otherBoot = boots.includes(false) || ids.size > 1;
  // Host names may differ within one boot: a container has its own.
  const proved = ids.size === 1 && given.every(({ origin }) => origin.bootId !== null);
  const otherHost = hosts.length > 1 && !proved;
  const same = otherHost || otherBoot ? false : known ? true : null;
  const clock = clockOf(given, same === true);
  const states = clock && !otherHost ? given.toSorted((a, b) => clock(a)! - clock(b)!) : given;
  const times = clock && same !== false ? states.map((state) => clock(state)!) : null;
  const isLater = times?.every((time, at) => at === 0 || time > times[at - 1]!) ?? false;
  const untimed = given.filter(({ origin }) => origin.at === null && origin.uptimeSeconds === null);
  const moved = same === true && times ? clockMoved(states, times) : 0;
  return {
    states,
    seconds: times && isLater ? times.map((time) => time - times[0]!) : null,
    sameBoot: same,
    notes: [
      ...(states.some((state, at) => state !== given[at]) ? [{ code: 'reordered' } as const] : []),
      ...(otherHost ? [{ code: 'different-hosts', hosts } as const] : []),
      ...(otherBoot && !otherHost ? [{ code: 'different-boots' } as const] : []),
      ...(same === null ? [{ code: 'boot-unknown' } as const] : []),
      ...(!clock
        ? [{ code: 'time-unknown', names: (untimed.length > 0 ? untimed : given).map(({ name }) => name) } as const]
        : []),
      ...(times && !isLater ? [{ code: 'same-time', names: states.map(({ name }) => name) } as const] : []),
      ...(Math.abs(moved) > SAME_BOOT ? [{ code: 'clock-set', seconds: Math.round(moved) } as const] : []),
    ],
  };
}

/**
 * Compares boot ids, which are new for each boot; otherwise boot times, which two machines may share unless
 * names differ. Null: unknown.
 */
export function sameBoot(facts: BootFacts, other: BootFacts): boolean | null {
  const [a, b] = [facts.origin, other.origin];
  if (a.bootId !== null && b.bootId !== null) return a.bootId === b.bootId;
  if (facts.release !== null && other.release !== null && facts.release !== other.release) return false;
  const [first, last] = [bootedAt(a), bootedAt(b)];
  if (first === null || last === null) return null;
  if (Math.abs(first - last) > SAME_BOOT) return false;
  const isOneLook = a.uptimeSeconds === b.uptimeSeconds && secondsOf(a) === secondsOf(b);
  return isOneLook || (nameOf(a) !== null && nameOf(a) === nameOf(b)) ? true : null;
}

/** Returns the time in seconds since 1970; null: unknown. */
export function secondsOf({ at }: Origin): number | null {
  return at === null ? null : Date.parse(at) / 1000;
}

/** Returns the boot time in seconds since 1970; null: unknown. */
function bootedAt(origin: Origin): number | null {
  const [at, { uptimeSeconds: uptime }] = [secondsOf(origin), origin];
  return at === null || uptime === null ? null : at - uptime;
}

/** The clock that all inputs have: uptime within one boot, otherwise the wall clock. Undefined: none. */
function clockOf(states: readonly HostState[], oneBoot: boolean): ((state: HostState) => number | null) | undefined {
  const clocks = [
    ...(oneBoot ? [({ origin }: HostState) => origin.uptimeSeconds] : []),
    ({ origin }: HostState) => secondsOf(origin),
  ];
  return clocks.find((clock) => states.every((state) => clock(state) !== null));
}

/** Returns the seconds by which the wall clock advanced more than the other clock. */
function clockMoved(states: readonly HostState[], times: readonly number[]): number {
  const known = states.map(({ origin }) => secondsOf(origin));
  const [first, last] = [known[0], known.at(-1)];
  return first == null || last == null ? 0 : last - first - ((times.at(-1) ?? 0) - (times[0] ?? 0));
}

/** Returns the host name; `(none)` is the kernel's name for a host without one. */
function nameOf({ host }: Origin): string | null {
  return host === '(none)' ? null : host;
}

/** Returns the distinct host names of inputs. */
export function namesOf(states: readonly BootFacts[]): string[] {
  return [...new Set(states.flatMap(({ origin }) => nameOf(origin) ?? []))];
}
