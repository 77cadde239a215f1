import { KernelError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { readOrNot } from '../read-or-not.js';
import { StructReader } from '../struct-reader.js';

/** The kernel's own clock, as of its last tick. */
export interface ClockFacts {
  /** Nanoseconds since 1970, UTC. */
  readonly wallClock: bigint;
  /** Nanoseconds since boot, sleep included: what /proc/uptime counts. */
  readonly uptime: bigint;
  /** Nanoseconds of these in which the machine slept (suspend). */
  readonly asleep: bigint;
}

const SECOND = 1_000_000_000n;
/** Later than this no kernel of today was running: 2200-01-01. */
const LATEST = 7_258_118_400n;
/** A century of uptime is damage. */
const LONGEST = 100n * 366n * 86_400n;

/**
 * Reads the timekeeper (include/linux/timekeeper_internal.h, kernel/time/timekeeping.c).
 *
 * @throws {KernelError} `no-symbols`, `unsupported-layout`, or `damaged` if it holds no sound time
 */
export function readClock(kernel: Kernel): ClockFacts {
  const keeper = new StructReader(kernel, 'timekeeper', [
    ...['tkr_mono.shift', 'tkr_mono.xtime_nsec', 'xtime_sec', 'offs_boot'],
    ...['wall_to_monotonic.tv_sec', 'wall_to_monotonic.tv_nsec'],
  ] as const);
  const at = findTimekeeper(kernel);
  const view = keeper.read(at);
  const signed = (path: Parameters<typeof view.pointer>[0]): bigint =>
    BigInt.asIntN(64, view.pointer(path));
  const shift = view.number('tkr_mono.shift') & 63;
  const seconds = view.pointer('xtime_sec');
  const part = view.pointer('tkr_mono.xtime_nsec') >> BigInt(shift);
  const toMonotonic =
    signed('wall_to_monotonic.tv_sec') * SECOND + signed('wall_to_monotonic.tv_nsec');
  const asleep = signed('offs_boot');
  const wallClock = seconds * SECOND + part;
  const uptime = wallClock + toMonotonic + asleep;
  // A second is carried over.
  const told = { base: seconds * SECOND + toMonotonic, toMonotonic, asleep, shift };
  const sound = part < SECOND && (readOrNot(() => agree(kernel, at, told)) ?? true);
  if (!sound || seconds > LATEST || uptime < 0n || uptime > LONGEST * SECOND)
    throw new KernelError('damaged', 'timekeeper contains no valid time');
  return { wallClock, uptime, asleep };
}

interface Timekeeper {
  readonly base: bigint;
  readonly toMonotonic: bigint;
  readonly asleep: bigint;
  readonly shift: number;
}

const TWICE = [
  ...['tkr_mono.base', 'tkr_raw.shift', 'offs_real'],
  ...['monotonic_to_boot.tv_sec', 'monotonic_to_boot.tv_nsec'],
] as const;

/**
 * tk_update_ktime_data and tk_set_wall_to_mono keep each of them twice, since 4.20 or so.
 *
 * @throws {ReadError}
 */
function agree(
  kernel: Kernel,
  at: bigint,
  { base, toMonotonic, asleep, shift }: Timekeeper,
): boolean {
  const layout = kernel.struct('timekeeper');
  if (TWICE.some((path) => layout?.member(path) === undefined)) return true;
  const view = new StructReader(kernel, 'timekeeper', TWICE).read(at);
  const signed = (path: Parameters<typeof view.pointer>[0]): bigint =>
    BigInt.asIntN(64, view.pointer(path));
  return (
    view.number('tkr_raw.shift') === shift &&
    signed('tkr_mono.base') === base &&
    signed('offs_real') === -toMonotonic &&
    signed('monotonic_to_boot.tv_sec') * SECOND + signed('monotonic_to_boot.tv_nsec') === asleep
  );
}

/**
 * `tk_core`, since 6.19 or so the first of `timekeeper_data`; before those had a type, the plain
 * `shadow_timekeeper`, which is the same between two ticks.
 */
function findTimekeeper(kernel: Kernel): bigint {
  const core = kernel.symbol('timekeeper_data') ?? kernel.symbol('tk_core');
  const inside = core === undefined ? undefined : kernel.struct('tk_data')?.member('timekeeper');
  if (core !== undefined && inside !== undefined) return core + BigInt(inside.offset);
  const shadow = kernel.symbol('shadow_timekeeper');
  if (shadow !== undefined) return shadow;
  throw new KernelError(
    'no-symbols',
    'unsupported timekeeper: no symbol timekeeper_data, tk_core or shadow_timekeeper',
  );
}
