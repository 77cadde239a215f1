import type { DiffAnswer } from '../../diff/compare.js';
import { type GrownCategory, LEAST_LOSS, type Loss } from '../../diff/loss.js';
import { LISTS } from '../../diff/state.js';
import { perMinute } from '../growth/words.js';
import { anyCategoryWords } from '../memory/words.js';
import { escapeText } from '../text/escape.js';
import { formatCount, formatSize } from '../text/size.js';
import { measureWords, signedSize, whoWords } from './words.js';

/** Formats the change of free memory, the categories that grew most, and their owners. */
export function headline(answer: DiffAnswer): string {
  const { loss, sameBoot } = answer;
  const when = whenWords(answer);
  if (!loss) return `${listSentence(answer)} ${when}.`;
  const { lost } = loss;
  const size = formatSize(Math.abs(lost));
  if (sameBoot === false) {
    const hosts = answer.notes.flatMap((note) =>
      note.code === 'different-hosts' ? note.hosts.map((host) => escapeText(host)) : [],
    );
    const inputs = hosts.length > 0 ? `hosts: ${hosts.join(', ')}` : `boots, ${when}`;
    const amount = lost === 0 ? 'as much' : `${size} ${lost > 0 ? 'less' : 'more'}`;
    return `The last input has ${amount} free memory ${lost === 0 ? 'as' : 'than'} the first (different ${inputs}).${largestIncrease(loss)}`;
  }
  if (Math.abs(lost) < LEAST_LOSS) {
    const change = lost === 0 ? '' : ` (${signedSize(-lost)})`;
    return `Free memory did not change significantly${change} ${when}.${largestIncrease(loss)}`;
  }
  return `Free memory ${lost > 0 ? 'fell' : 'rose'} by ${size}${rateWords(answer)} ${when}.${lost > 0 ? reasonWords(loss) : ''}`;
}

function rateWords({ seconds, loss }: DiffAnswer): string {
  const took = seconds?.at(-1) ?? 0;
  // A change within seconds is no rate.
  return took < 60 || !loss ? '' : ` (${perMinute(-loss.lost / took)}/min)`;
}

function reasonWords({
  lost,
  explanation,
  grew,
  unattributed,
  uncompared,
  categories,
}: Loss): string {
  if (grew === null) return ' Categories cannot be compared, so what grew is unknown.';
  if (explanation === 'nothing') {
    const rest =
      (unattributed ?? 0) > 0
        ? `; unattributed memory grew by ${formatSize(unattributed ?? 0)}`
        : '';
    return ` Loss not attributed: categories with an owner grew by only ${formatSize(grew)} in total${rest}.`;
  }
  const [first, second] = categories;
  const parts = [
    ...(first ? [increaseWords(first)] : []),
    ...(second && (second.category.change ?? 0) >= lost / 10 ? [increaseWords(second)] : []),
    ...((unattributed ?? 0) >= lost / 10 ? [`unattributed ${signedSize(unattributed)}`] : []),
    ...((uncompared ?? 0) >= lost / 10
      ? [`categories that cannot be compared ${signedSize(uncompared)}`]
      : []),
  ];
  if (parts.length === 0) return '';
  return ` Largest increase${parts.length > 1 ? 's' : ''}: ${parts.join(', ')}.`;
}

/**
 * Names the category that grew most. Used if free memory did not fall, or if the inputs are from different
 * boots.
 */
function largestIncrease({ categories: [first] }: Loss): string {
  if (!first || (first.category.change ?? 0) < LEAST_LOSS) return '';
  return ` Largest increase: ${increaseWords(first)}.`;
}

function increaseWords(grown: GrownCategory): string {
  const { category, change } = grown.category;
  return `${anyCategoryWords(category)} ${signedSize(change)}${ownerWords(grown)}`;
}

function ownerWords({ who, ofNoProcess }: GrownCategory): string {
  if (ofNoProcess) return ' (no process grew by a quarter of it)';
  if (!who || (who.change ?? 0) <= 0) return '';
  return ` (led by ${whoWords(who.who)}, ${signedSize(who.change)}${withSpace(measureWords(who))})`;
}

function withSpace(words: string): string {
  return words === '' ? '' : ` ${words}`;
}

/** The headline where the change of free memory is unknown. */
function listSentence({ lists }: DiffAnswer): string {
  const all = LISTS.flatMap((name) => lists[name]?.items ?? []);
  if (LISTS.every((name) => lists[name] === null)) return 'Nothing can be compared';
  const grown = all.filter(({ change }) => (change ?? 0) > 0);
  const [most] = grown.toSorted((a, b) => (b.change ?? 0) - (a.change ?? 0));
  const unknown = all.filter(({ change }) => change === null).length;
  if (most)
    return `Change of free memory unknown. Largest increase: ${whoWords(most.who)}, ${signedSize(most.change)}${withSpace(measureWords(most))}`;
  return unknown === 0
    ? 'No listed item grew'
    : `No known growth; the change of ${formatCount(unknown)} listed ${unknown === 1 ? 'item' : 'items'} is unknown`;
}

/** Returns `between 10:02 and 10:47 UTC on 2026-11-20`; seconds are included if the times are close. */
function whenWords({ states }: DiffAnswer): string {
  const [first, last] = [states[0], states.at(-1)];
  const [from, to] = [first?.origin.at, last?.origin.at];
  if (!from || !to || from > to)
    return `from ${escapeText(first?.name ?? '')} to ${escapeText(last?.name ?? '')}`;
  const [start, end] = [from.toISOString(), to.toISOString()];
  const precise = to.getTime() - from.getTime() < 600_000 ? 19 : 16;
  const [day, time] = [start.slice(0, 10), (text: string) => text.slice(11, precise)];
  return day === end.slice(0, 10)
    ? `between ${time(start)} and ${time(end)} UTC on ${day}`
    : `between ${day} ${time(start)} and ${end.slice(0, 10)} ${time(end)} UTC`;
}
