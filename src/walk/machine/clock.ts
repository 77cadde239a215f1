import { damaged, KernelError, readOrNot, unsupportedLayout } from '../../base/errors.js';
import type { DumpTime } from '../../contracts/info.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask, needSymbol, perCpuAddress } from '../cpus.js';
import { pointerPartOf, readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';

/** The kernel's clock, as of its last tick. */
export interface ClockFacts {
  /** Nanoseconds since the epoch (1970, UTC). */
  readonly wallClock: bigint;
  /** Nanoseconds since boot, including suspend, as in /proc/uptime. */
  readonly uptime: bigint;
  /** Nanoseconds of the uptime that the machine spent suspended. */
  readonly asleep: bigint;
}

const SECOND = 1_000_000_000n;
/** Latest valid time, 2200-01-01, in seconds since the epoch. */
const LATEST = 7_258_118_400n;
/** Maximum valid uptime, in seconds: a century. */
const LONGEST = 100n * 366n * 86_400n;

/**
 * Reads the timekeeper (include/linux/timekeeper_internal.h, kernel/time/timekeeping.c).
 *
 * @throws {KernelError} `no-symbols`, `unsupported-layout`, or `damaged` if it contains no valid time
 */
export function readClock(kernel: Kernel): ClockFacts {
  const keeper = new StructReader(kernel, 'timekeeper', [
    'tkr_mono.shift',
    'tkr_mono.xtime_nsec',
    'xtime_sec',
    'offs_boot',
    'wall_to_monotonic.tv_sec',
    'wall_to_monotonic.tv_nsec',
  ] as const);
  const at = findTimekeeper(kernel);
  const view = keeper.read(at);
  const signed = (path: Parameters<typeof view.pointer>[0]): bigint => BigInt.asIntN(64, view.pointer(path));
  const shift = view.number('tkr_mono.shift') & 63;
  const seconds = view.pointer('xtime_sec');
  const part = view.pointer('tkr_mono.xtime_nsec') >> BigInt(shift);
  const toMonotonic = signed('wall_to_monotonic.tv_sec') * SECOND + signed('wall_to_monotonic.tv_nsec');
  const asleep = signed('offs_boot');
  const wallClock = seconds * SECOND + part;
  const uptime = wallClock + toMonotonic + asleep;
  // Full seconds are carried over to xtime_sec.
  const reported = { base: seconds * SECOND + toMonotonic, toMonotonic, asleep, shift };
  const sound = part < SECOND && (readOrNot(() => agree(kernel, at, reported)) ?? true);
  if (!sound || seconds > LATEST || uptime < 0n || uptime > LONGEST * SECOND)
    throw damaged('timekeeper contains no valid time');
  return { wallClock, uptime, asleep };
}

/** The monotonic clock as of the last tick, in nanoseconds. @throws as readClock */
export function monotonicNow(kernel: Kernel): bigint {
  const { uptime, asleep } = readClock(kernel);
  return uptime - asleep;
}

interface Timekeeper {
  readonly base: bigint;
  readonly toMonotonic: bigint;
  readonly asleep: bigint;
  readonly shift: number;
}

const TWICE = [
  'tkr_mono.base',
  'tkr_raw.shift',
  'offs_real',
  'monotonic_to_boot.tv_sec',
  'monotonic_to_boot.tv_nsec',
] as const;

/**
 * Whether both copies of each value match: tk_update_ktime_data and tk_set_wall_to_mono store each of them
 * twice, since about 4.20.
 */
function agree(kernel: Kernel, at: bigint, { base, toMonotonic, asleep, shift }: Timekeeper): boolean {
  const layout = kernel.struct('timekeeper');
  if (TWICE.some((path) => layout?.member(path) === undefined)) return true;
  const view = new StructReader(kernel, 'timekeeper', TWICE).read(at);
  const signed = (path: Parameters<typeof view.pointer>[0]): bigint => BigInt.asIntN(64, view.pointer(path));
  return (
    view.number('tkr_raw.shift') === shift &&
    signed('tkr_mono.base') === base &&
    signed('offs_real') === -toMonotonic &&
    signed('monotonic_to_boot.tv_sec') * SECOND + signed('monotonic_to_boot.tv_nsec') === asleep
  );
}

/**
 * Returns the address of the timekeeper: `tk_core`, since about 6.19 the first element of `timekeeper_data`.
 * Before these had a type: the plain `shadow_timekeeper`, which has the same contents between two ticks.
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

/** The kernel's count of timer ticks. */
export interface Ticks {
  /** `jiffies_64`. */
  readonly now: bigint;
  /** CONFIG_HZ. */
  readonly perSecond: number;
  /** Seconds since boot, excluding suspend. */
  readonly seconds: number;
}

const NANOSECONDS = 1e9;

/** Values of CONFIG_HZ that architectures offer (kernel/Kconfig.hz). */
const RATES: readonly number[] = [24, 48, 100, 128, 200, 250, 256, 300, 1000, 1024];

/**
 * Maximum difference between jiffies and the clock, in seconds: they are updated one after the other, and a
 * stopped CPU may have missed some ticks.
 */
const MAX_APART = 60;

/**
 * Length of a tick: the factor by which the clock multiplies ticks (kernel/time/jiffies.c), compared with the
 * uptime. Counting begins five minutes before it overflows (INITIAL_JIFFIES).
 */
export function readTicks(kernel: Kernel): Ticks {
  const clock = new StructReader(kernel, 'clocksource', ['mult', 'shift']);
  const view = clock.read(needSymbol(kernel, 'clocksource_jiffies'));
  const nanoseconds = view.number('mult') / 2 ** view.number('shift');
  const perSecond = RATES.find((rate) => Math.abs(NANOSECONDS / rate - nanoseconds) < 100);
  if (perSecond === undefined) throw damaged(`tick length is invalid (${nanoseconds} ns)`);
  const at = needSymbol(kernel, 'jiffies_64');
  const now = pointerPartOf(kernel, 'jiffies_64', at, at);
  const first = (1n << 32n) - BigInt(300 * perSecond);
  const seconds = Number(now - first) / perSecond;
  const { uptime, asleep } = readClock(kernel);
  const awake = Number(uptime - asleep) / NANOSECONDS;
  if (Math.abs(seconds - awake) > MAX_APART)
    throw damaged(`jiffies show ${seconds} s since boot, but the clock shows ${awake} s`);
  return { now, perSecond, seconds };
}

/** Times of all CPUs since boot. */
export interface CpuTimes {
  /** User, nice, system and interrupts. */
  readonly busySeconds: number;
  /** Time in which a CPU had work, but the hypervisor did not run it. */
  readonly stealSeconds: number;
}

/** Kinds of time, by the kernel's names (include/linux/kernel_stat.h). User time includes guests. */
const BUSY = ['CPUTIME_USER', 'CPUTIME_NICE', 'CPUTIME_SYSTEM', 'CPUTIME_SOFTIRQ', 'CPUTIME_IRQ'];
const STEAL = 'CPUTIME_STEAL';
/** Allowance: steal that is accounted at once after a pause may exceed the guest’s own clock. Seconds. */
const MAX_EXCESS = 60;
/** `rq.prev_steal_time` is updated just after the counter. Seconds. */
const MAX_STEAL_APART = 1;

/**
 * Reads `kernel_cpustat` of each CPU. It counts nanoseconds since 4.11.
 *
 * Second facts: a CPU was not busy for longer than the machine is up, and the scheduler keeps its own sum of
 * steal (steal_account_process_time, kernel/sched/cputime.c).
 */
export function readCpuTimes(kernel: Kernel): CpuTimes {
  const kinds = kernel.enumerators('cpu_usage_stat');
  const indexes = [...BUSY, STEAL].map((name) => {
    const index = Number(kinds?.get(name) ?? -1);
    if (index < 0) throw unsupportedLayout(`this kernel has no ${name}`);
    return index;
  });
  const stat = new StructReader(kernel, 'kernel_cpustat', ['cpustat']);
  const { offset, size } = stat.members.cpustat;
  if (indexes.some((index) => 8 * (index + 1) > size))
    throw unsupportedLayout(`kernel_cpustat.cpustat has ${size / 8} elements`);
  const up = Number(readClock(kernel).uptime) / NANOSECONDS;
  const first = needSymbol(kernel, 'kernel_cpustat');
  let [busySeconds, stealSeconds] = [0, 0];
  for (const cpu of cpuMask(kernel, '__cpu_possible_mask')) {
    const at = perCpuAddress(kernel, first, cpu) + BigInt(offset);
    const view = readPartOf(kernel, 'kernel_cpustat', at, at, size);
    const seconds = indexes.map((index) => Number(view.getBigUint64(8 * index, true)) / NANOSECONDS);
    const all = seconds.reduce((sum, second) => sum + second, 0);
    if (all > up * 1.05 + MAX_EXCESS)
      throw damaged(`CPU ${cpu} was busy for ${Math.round(all)} s, but uptime is ${Math.round(up)} s`);
    const steal = seconds.at(-1) ?? 0;
    const again = schedulerSteal(kernel, cpu);
    if (again !== undefined && Math.abs(again - steal) > MAX_STEAL_APART)
      throw damaged(
        `steal time of CPU ${cpu} is ${steal.toFixed(1)} s, but rq.prev_steal_time is ${again.toFixed(1)} s`,
      );
    busySeconds += all - steal;
    stealSeconds += steal;
  }
  return { busySeconds, stealSeconds };
}

/** Seconds; undefined: the kernel has no CONFIG_PARAVIRT, or the run queue is not in the dump. */
function schedulerSteal(kernel: Kernel, cpu: number): number | undefined {
  const rq = StructReader.ifPresent(kernel, 'rq', ['prev_steal_time']);
  const queues = kernel.symbol('runqueues');
  if (rq === undefined || queues === undefined) return undefined;
  return readOrNot(() => Number(rq.read(perCpuAddress(kernel, queues, cpu)).pointer('prev_steal_time')) / NANOSECONDS);
}

/** Upper bound of plausible times, milliseconds since 1970: the first year with five digits. */
const YEAR_10000 = 253_402_300_800_000;

/**
 * Returns the time of the crash as recorded by the kernel, otherwise the kernel's clock at its last tick. The
 * clock also provides the boot time.
 *
 * @param crashTime seconds since 1970
 */
export function dumpTime({
  crashTime,
  clock,
}: {
  readonly crashTime?: number | undefined;
  readonly clock?: ClockFacts | undefined;
} = {}): DumpTime | null {
  const wall = clock && Number(clock.wallClock / 1_000_000n);
  const at = crashTime === undefined ? wall : crashTime * 1000;
  if (at === undefined || at < 0 || at >= YEAR_10000) return null;
  const uptime = clock && wall !== undefined ? Number(clock.uptime / 1_000_000n) + at - wall : -1;
  return {
    at: new Date(at).toISOString(),
    from: crashTime === undefined ? 'clock' : 'crash',
    uptimeSeconds: uptime < 0 ? null : uptime / 1000,
  };
}
