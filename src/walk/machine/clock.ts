import { KernelError } from '../../kernel/error.js';
import type { Kernel } from '../../kernel/kernel.js';
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
    ...['tkr_mono.shift', 'tkr_raw.shift', 'tkr_mono.xtime_nsec', 'tkr_mono.base', 'xtime_sec'],
    ...['wall_to_monotonic.tv_sec', 'wall_to_monotonic.tv_nsec', 'offs_boot', 'offs_real'],
    ...['monotonic_to_boot.tv_sec', 'monotonic_to_boot.tv_nsec'],
  ] as const);
  const view = keeper.read(findTimekeeper(kernel));
  const signed = (path: Parameters<typeof view.pointer>[0]): bigint =>
    BigInt.asIntN(64, view.pointer(path));
  const nanoseconds = (what: 'wall_to_monotonic' | 'monotonic_to_boot'): bigint =>
    signed(`${what}.tv_sec`) * SECOND + signed(`${what}.tv_nsec`);
  const shift = BigInt(view.number('tkr_mono.shift') & 63);
  const seconds = view.pointer('xtime_sec');
  const part = view.pointer('tkr_mono.xtime_nsec') >> shift;
  const toMonotonic = nanoseconds('wall_to_monotonic');
  const asleep = signed('offs_boot');
  const wallClock = seconds * SECOND + part;
  const uptime = wallClock + toMonotonic + asleep;
  // tk_update_ktime_data and tk_set_wall_to_mono keep each of them twice; a second is carried over.
  const sound =
    part < SECOND &&
    view.number('tkr_mono.shift') === view.number('tkr_raw.shift') &&
    seconds * SECOND + toMonotonic === signed('tkr_mono.base') &&
    signed('offs_real') === -toMonotonic &&
    asleep === nanoseconds('monotonic_to_boot');
  if (!sound || seconds > LATEST || uptime < 0n || uptime > LONGEST * SECOND)
    throw new KernelError('damaged', 'the timekeeper holds no sound time');
  return { wallClock, uptime, asleep };
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
    'there is no symbol timekeeper_data, tk_core or shadow_timekeeper that is known',
  );
}
