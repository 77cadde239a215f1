import { HostError } from '../base/errors.js';
import type { CategoryState, HostState } from '../diff/state.js';
import { inOrder } from '../diff/times.js';
import { type Finding, severityOf } from './finding.js';
import { found } from './host-memory.js';

/** Categories that only the kernel can free, and that grow in a leak. */
const GROWING = ['unattributed', 'slab-unreclaimable'] as const;
/** Smaller growth is common. Bytes, and share of memory. */
const MIN_GROWTH = 64 * 2 ** 20;
const GROWTH_SHARE = 0.01;
/** A snapshot has its time in whole seconds, and NTP adjusts the clock. */
const CLOCK_SLACK = 10;

/**
 * Findings from the changes between two states of a host: growth of memory that cannot be reclaimed, another
 * boot, and steps of the clock.
 *
 * @throws {HostError} they cannot be compared
 */
export function changesSince(before: HostState, now: HostState): Finding[] {
  const { sameBoot, notes } = inOrder([before, now]);
  const why = (words: string) => new HostError('unreadable', `${before.name}: ${words}`);
  if (notes.some(({ code }) => code === 'different-hosts'))
    throw why('the baseline is of another host');
  const uptimeSeconds = now.origin.uptime;
  // Memory starts anew with each boot.
  if (sameBoot === false) return [found('rebooted', 'note', { uptimeSeconds }, 'triage')];
  const [uptime, wall] = [
    passed(before.origin.uptime, uptimeSeconds),
    passed(seconds(before.origin.at), seconds(now.origin.at)),
  ];
  if (sameBoot === null || uptime === null) throw why('the boot of the baseline is unknown');
  if (uptime <= 0) throw why('the baseline is not older');
  if (before.memory?.depth !== now.memory?.depth)
    throw why(`its categories are from ${before.memory?.depth}, and now from ${now.memory?.depth}`);
  const stepSeconds = wall === null ? 0 : Math.round(wall - uptime);
  const clock =
    Math.abs(stepSeconds) > CLOCK_SLACK
      ? [found('clock-step', 'note', { stepSeconds, seconds: Math.round(uptime) }, 'triage')]
      : [];
  return [...clock, ...growth(before, now, uptime)];
}

function growth(before: HostState, now: HostState, uptime: number): Finding[] {
  const [then, current] = [before, now].map(
    ({ memory }) => new Map(memory ? leavesOf(memory.tree) : []),
  );
  const total = now.memory?.tree.bytes ?? 0;
  return GROWING.flatMap((category) => {
    const [first, last] = [then?.get(category), current?.get(category)];
    if (first === undefined || last === undefined) return [];
    const grown = last - first;
    if (grown < Math.max(MIN_GROWTH, GROWTH_SHARE * total)) return [];
    const figures = {
      category,
      grownBytes: grown,
      beforeBytes: first,
      bytes: last,
      share: grown / total,
      seconds: Math.round(uptime),
    };
    const severity = severityOf(grown, total) === undefined ? 'note' : 'warning';
    return [found('memory-growth', severity, figures, 'memory -v')];
  });
}

function leavesOf({ category, bytes, children }: CategoryState): [string, number][] {
  return children.length === 0 ? [[category, bytes]] : children.flatMap(leavesOf);
}

function passed(from: number | null, to: number | null): number | null {
  return from === null || to === null ? null : to - from;
}

function seconds(at: Date | null): number | null {
  return at === null ? null : at.getTime() / 1000;
}
