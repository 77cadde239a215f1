import { KernelError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { readClock } from './clock.js';
import { needSymbol } from './cpus.js';

/** The kernel's count of timer ticks. */
export interface Ticks {
  /** `jiffies_64`. */
  readonly now: bigint;
  /** CONFIG_HZ. */
  readonly perSecond: number;
  /** Since boot, without sleep. */
  readonly seconds: number;
}

const SECOND = 1e9;

/** Values of CONFIG_HZ that architectures offer (kernel/Kconfig.hz). */
const RATES: readonly number[] = [24, 48, 100, 128, 200, 250, 256, 300, 1000, 1024];

/** Ticks and the clock are brought up to date one after the other, and a CPU that stood may have missed some. */
const MOST_APART = 60;

/**
 * How long a tick is, is what the clock made of ticks multiplies by (kernel/time/jiffies.c); it is held
 * against the uptime. Counting begins five minutes before it overflows (INITIAL_JIFFIES).
 *
 * @throws {KernelError} `no-symbols`, `unsupported-layout`, `damaged`; {@link ReadError}
 */
export function readTicks(kernel: Kernel): Ticks {
  const clock = new StructReader(kernel, 'clocksource', ['mult', 'shift']);
  const view = clock.read(needSymbol(kernel, 'clocksource_jiffies'));
  const nanoseconds = view.number('mult') / 2 ** view.number('shift');
  const perSecond = RATES.find((rate) => Math.abs(SECOND / rate - nanoseconds) < 100);
  if (perSecond === undefined)
    throw new KernelError('damaged', `tick length is invalid (${nanoseconds} ns)`);
  const at = needSymbol(kernel, 'jiffies_64');
  const now = pointerPartOf(kernel, 'jiffies_64', at, at);
  const first = (1n << 32n) - BigInt(300 * perSecond);
  const seconds = Number(now - first) / perSecond;
  const { uptime, asleep } = readClock(kernel);
  const awake = Number(uptime - asleep) / SECOND;
  if (Math.abs(seconds - awake) > MOST_APART)
    throw new KernelError(
      'damaged',
      `jiffies show ${seconds} s since boot, but the clock shows ${awake} s`,
    );
  return { now, perSecond, seconds };
}
