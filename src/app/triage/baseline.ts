import type { MemoryAnswer } from '../../account/memory/answer.js';
import { HostError } from '../../base/errors.js';
import type { CategoryState, HostState } from '../../diff/state.js';
import { inOrder } from '../../diff/times.js';
import type { Origin } from '../../records/machine-sample.js';
import { type Finding, severityOf } from '../../triage/finding.js';
import { found } from '../../triage/host-memory.js';

/** Categories that the kernel cannot reclaim, and that grow in a leak. */
const GROWING = ['unattributed', 'slab-unreclaimable'] as const;
/** Smaller growth is common. Bytes, and share of memory. */
const MIN_GROWTH = 64 * 2 ** 20;
const GROWTH_SHARE = 0.01;
/** Seconds: a snapshot has its time in whole seconds, and NTP adjusts the clock. */
const CLOCK_SLACK = 10;

/**
 * Findings from the changes since a baseline: growth of memory that cannot be reclaimed, another boot, and steps
 * of the clock.
 *
 * @throws {HostError} they cannot be compared
 */
export function changesSince(
  before: HostState,
  origin: Origin,
  { source, memory }: Pick<MemoryAnswer, 'source' | 'memory'>,
): Finding[] {
  const why = (words: string) => new HostError('unreadable', `${before.name}: ${words}`);
  const { sameBoot, notes } = inOrder([before, { ...before, origin, release: null }]);
  if (notes.some(({ code }) => code === 'different-hosts'))
    throw why('the baseline is of another host');
  // Memory starts anew with each boot.
  if (sameBoot === false)
    return [found('rebooted', 'note', { uptimeSeconds: origin.uptime }, 'triage')];
  if (sameBoot === null || before.origin.uptime === null || origin.uptime === null)
    throw why('the boot of the baseline is unknown');
  const uptime = origin.uptime - before.origin.uptime;
  if (uptime <= 0) throw why('the baseline is not older');
  if (before.memory?.depth !== source)
    throw why(`its categories are from ${before.memory?.depth ?? 'nowhere'}, not from ${source}`);
  const [began, ended] = [before.origin.at, origin.at];
  const wall = began && ended ? (ended.getTime() - began.getTime()) / 1000 : uptime;
  const [stepSeconds, seconds] = [wall - uptime, uptime].map(Math.round);
  const clock = found(
    'clock-step',
    'note',
    { stepSeconds: stepSeconds!, seconds: seconds! },
    'triage',
  );
  const [then, now] = [before.memory.tree, memory].map((tree) => new Map(leavesOf(tree)));
  const growth = GROWING.flatMap((category) => {
    const [beforeBytes, bytes] = [then?.get(category), now?.get(category)];
    if (beforeBytes === undefined || bytes === undefined)
      throw why(`${category} is not in the breakdown of both`);
    const grownBytes = bytes - beforeBytes;
    if (grownBytes < Math.max(MIN_GROWTH, GROWTH_SHARE * memory.bytes)) return [];
    const figures = { category, grownBytes, beforeBytes, bytes, share: grownBytes / memory.bytes };
    const severity = severityOf(grownBytes, memory.bytes) === undefined ? 'note' : 'warning';
    return [found('memory-growth', severity, { ...figures, seconds: seconds! }, 'memory -v')];
  });
  return Math.abs(wall - uptime) > CLOCK_SLACK ? [clock, ...growth] : growth;
}

function leavesOf({ category, bytes, children }: CategoryState): [string, number][] {
  return children.length === 0 ? [[category, bytes]] : children.flatMap(leavesOf);
}
