import { escapeText } from '../../base/escape.js';
import { formatCount, formatSize } from '../../base/size.js';
import type { EndedProcess, GrownProcess, Growth, Loss } from '../../contracts/growth.js';
import type { GrowthAnswer } from '../../growth/answer.js';
import { MIN_POINTS, MIN_TO_GROW } from '../../growth/trend.js';

/** Returns the headline of one sample or of stored samples: growing processes, MemAvailable, pressure. */
export function growthWords(answer: GrowthAnswer): string[] {
  return [growingWords(answer), availableWords(answer), ...explanationWords(answer), pressureWords(answer)];
}

/** Formats a rate in bytes per second as bytes per minute, the usual scale of leaks: `+1.02 MiB`. */
export function perMinute(bytesPerSecond: number): string {
  const bytes = Math.round(60 * bytesPerSecond);
  return bytes === 0 ? '0' : `${bytes > 0 ? '+' : '-'}${formatSize(Math.abs(bytes))}`;
}

/** Lists processes that exited since the previous sample; null: none. */
export function endedWords({ ended }: GrowthAnswer): string | null {
  if (ended.length === 0) return null;
  const named = ended.slice(0, 5).map((process) => {
    const again = process.pidReused ? ', now the pid of another process' : '';
    return `${who(process)} with ${sizeOf(process)}${again}`;
  });
  const more = ended.length > 5 ? `, and ${formatCount(ended.length - 5)} more` : '';
  return `Exited: ${named.join(', ')}${more}.`;
}

/** Lists processes that grew until they exited. */
export function endedGrowingWords({ endedGrowing }: GrowthAnswer): string[] {
  return endedGrowing.map(
    (process) => `${who(process)} grew by ${rateWords(process.growth)} until it exited with ${sizeOf(process)}.`,
  );
}

/** Formats a duration: `48 s`, `52 min`, `7.3 h`, `12 days`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 10 && !Number.isInteger(seconds)) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${(seconds / 3600).toFixed(1)} h`;
  const days = seconds / 86_400;
  return days < 3650 ? `${formatCount(Math.round(days))} days` : 'more than ten years';
}

function growingWords({ processes, samples }: GrowthAnswer): string {
  if (samples < MIN_TO_GROW)
    return `Sample ${samples}: RATE/MIN is shown from sample ${MIN_POINTS} on, TREND from sample ${MIN_TO_GROW} on.`;
  const growing = processes.filter(({ course }) => course === 'grows');
  const [first, second] = growing;
  if (!first) return 'No process shows significant growth.';
  const more =
    second === undefined
      ? ''
      : growing.length === 2
        ? ` Also ${who(second)}, by ${rateWords(second.growth)}.`
        : ` ${formatCount(growing.length - 1)} more processes grow.`;
  return `${who(first)} grows by ${rateWords(first.growth)} and holds ${sizeOf(first)}.${more}`;
}

function availableWords({ machine, loss }: GrowthAnswer): string {
  if (machine.memAvailableBytes === null) return 'This kernel does not report MemAvailable.';
  const now = `MemAvailable is ${formatSize(machine.memAvailableBytes)}`;
  const { memAvailableGrowth: growth, memAvailableCourse: course, memAvailableExhausted: ends } = loss;
  if (!growth) return `${now}.`;
  if (ends) {
    return `${now} and falls by ${rateWords(negative(growth))}. At this rate it is exhausted in ${endsWords(ends)}.`;
  }
  if (course === 'shrank')
    return `${now}. It fell since sample 1, but not significantly in the later half of the samples.`;
  return `${now}, with no significant decline.`;
}

/** Formats the time until exhaustion: `4.2 h to 5.1 h`. */
export function endsWords({ soonest, likely, latest }: NonNullable<Loss['memAvailableExhausted']>): string {
  return formatSeconds(soonest) === formatSeconds(latest)
    ? formatSeconds(likely)
    : `${formatSeconds(soonest)} to ${formatSeconds(latest)}`;
}

function explanationWords({ loss }: GrowthAnswer): string[] {
  const { explanation, otherGrowth, processesGrowth } = loss;
  if (explanation === 'processes')
    return [`Processes account for it: their memory grows by ${rateWords(processesGrowth)}.`];
  if (explanation === 'nothing')
    return [
      `No process accounts for the decline of MemAvailable: ${rateWords(otherGrowth && negative(otherGrowth))} are not in any process. Next: kdump-mem memory --live --watch`,
    ];
  return [];
}

function pressureWords({ machine: { pressure, noPressure } }: GrowthAnswer): string {
  if (!pressure) return `Memory pressure (PSI) is not available: ${escapeText(noPressure ?? 'unknown')}.`;
  const { some, full } = pressure;
  return `Memory pressure (PSI): some ${some.avg10} %, full ${full.avg10} % of the last 10 s.`;
}

/** Returns the rate of a decline as a positive figure. */
export function negative({ perSecond, low, high, ...rest }: Growth): Growth {
  return { ...rest, perSecond: -perSecond, low: -high, high: -low };
}

/** Formats a rate: `57.2 MiB/min (56.1 MiB to 58.3 MiB)`. */
function rateWords(growth: Growth | null): string {
  if (!growth) return '?';
  const { perSecond, low, high } = growth;
  const plain = (rate: number) => perMinute(rate).replace('+', '');
  return `${plain(perSecond)}/min (${plain(low)}/min to ${plain(high)}/min)`;
}

function who({ pid, comm }: GrownProcess | EndedProcess): string {
  return `pid ${pid} (${escapeText(comm)})`;
}

function sizeOf({ heldBytes }: GrownProcess | EndedProcess): string {
  return heldBytes === null ? '?' : formatSize(heldBytes);
}
