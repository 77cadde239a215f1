import type { DiffAnswer } from '../../diff/compare.js';
import { type GrownCategory, LEAST_LOSS, type Loss } from '../../diff/loss.js';
import { LISTS } from '../../diff/state.js';
import { perMinute } from '../growth/words.js';
import { anyCategoryWords } from '../memory/words.js';
import { escapeText } from '../text/escape.js';
import { formatCount, formatSize } from '../text/size.js';
import { measureWords, signedSize, whoWords } from './words.js';

/** What became of free memory, where it went, and to whom; of what is known, what matters most. */
export function headline(answer: DiffAnswer): string {
  const { loss, sameBoot } = answer;
  const when = whenWords(answer);
  if (!loss) return `${when} ${ofLists(answer)}`;
  const { lost } = loss;
  const hosts = answer.notes.flatMap((note) => (note.code === 'another-host' ? note.hosts : []));
  if (hosts.length > 0) {
    const names = hosts.map((host) => escapeText(host)).join(', ');
    const amount = `${formatSize(Math.abs(lost))} ${lost > 0 ? 'less' : 'more'} free memory`;
    return `Different hosts are compared (${names}): the last has ${amount}${differenceWords(loss)}`;
  }
  if (Math.abs(lost) < LEAST_LOSS)
    return `${when} free memory stayed the same, to ${formatSize(Math.abs(lost))}. ${ofCategories(loss)}`.trimEnd();
  const size = formatSize(Math.abs(lost));
  const moved =
    sameBoot === false
      ? `is ${size} ${lost > 0 ? 'less' : 'more'}`
      : `${lost > 0 ? 'fell' : 'rose'} by ${size}`;
  const reason = sameBoot === false ? differenceWords(loss) : reasonWords(loss);
  return `${when} free memory ${moved}${rateWords(answer)}${reason}`;
}

function rateWords({ seconds, loss }: DiffAnswer): string {
  const took = seconds?.at(-1) ?? 0;
  return took <= 0 || !loss ? '' : ` (${perMinute(-loss.lost / took)} a minute)`;
}

function reasonWords(loss: Loss): string {
  const { lost, explanation, grew, unattributed, untold } = loss;
  if (lost < 0) return '.';
  if (grew === null) return '. Single categories cannot be compared: what grew is not known.';
  if (explanation === 'nothing') {
    const rest =
      (unattributed ?? 0) > 0
        ? `; ${formatSize(unattributed ?? 0)} are in what nothing explains`
        : '';
    return `. Nothing that grew explains the loss: categories that are known grew by ${formatSize(grew)} in all${rest}.`;
  }
  const [first, second] = loss.categories;
  const parts = [
    ...(first ? [`${shareWords(first, lost)}${byWhom(first)}`] : []),
    ...(second && (second.category.change ?? 0) >= lost / 10
      ? [`${nameOf(second)} grew by ${formatSize(second.category.change ?? 0)}${byWhom(second)}`]
      : []),
    ...((unattributed ?? 0) >= lost / 10
      ? [`what nothing explains grew by ${formatSize(unattributed ?? 0)}`]
      : []),
    ...((untold ?? 0) >= lost / 10
      ? [`categories that cannot be compared make up ${formatSize(untold ?? 0)}`]
      : []),
  ];
  return parts.length === 0 ? '.' : `: ${parts.join('; ')}.`;
}

function shareWords(first: GrownCategory, lost: number): string {
  const size = first.category.change ?? 0;
  return size <= lost
    ? `${formatSize(size)} of it are in ${nameOf(first)}`
    : `${nameOf(first)} grew by ${formatSize(size)}`;
}

/** Of different boots nothing grew: one has more than the other. */
function differenceWords({ categories: [first] }: Loss): string {
  if (!first) return '.';
  return `. Most of what the last has more of is ${nameOf(first)}, by ${formatSize(first.category.change ?? 0)}.`;
}

/** What moved though free memory did not. */
function ofCategories({ categories: [first] }: Loss): string {
  if (!first || (first.category.change ?? 0) < LEAST_LOSS) return '';
  return `What grew most is ${nameOf(first)}, by ${formatSize(first.category.change ?? 0)}${byWhom(first)}.`;
}

function byWhom({ who, ofNoProcess }: GrownCategory): string {
  if (ofNoProcess) return ' (no process grew by a quarter of it)';
  if (!who || (who.change ?? 0) <= 0) return '';
  const measure = measureWords(who);
  return ` (most at ${whoWords(who.who)}, ${signedSize(who.change)}${measure === '' ? '' : ` ${measure}`})`;
}

function nameOf({ category: { category } }: GrownCategory): string {
  return anyCategoryWords(category);
}

/** Where nothing tells of free memory. */
function ofLists({ lists }: DiffAnswer): string {
  const all = LISTS.flatMap((name) => lists[name]?.items ?? []);
  if (LISTS.every((name) => lists[name] === null)) return 'nothing can be compared.';
  const grown = all.filter(({ change }) => (change ?? 0) > 0);
  const [most] = grown.toSorted((a, b) => (b.change ?? 0) - (a.change ?? 0));
  const unknown = all.filter(({ change }) => change === null).length;
  if (!most)
    return unknown === 0
      ? 'nothing grew of what is known.'
      : `nothing is known to have grown, but of ${formatCount(unknown)} more it is not known what changed.`;
  const measure = measureWords(most);
  return `${whoWords(most.who)} grew most, by ${formatSize(most.change ?? 0)}${measure === '' ? '' : ` (${measure})`}. What became of free memory is not known.`;
}

/** `Between 10:02 and 10:47 UTC`, as exactly as it needs. */
function whenWords({ states }: DiffAnswer): string {
  const [first, last] = [states[0], states.at(-1)];
  const [from, to] = [first?.origin.at, last?.origin.at];
  if (!from || !to || from > to)
    return `From ${escapeText(first?.name ?? '')} to ${escapeText(last?.name ?? '')}`;
  const [start, end] = [from.toISOString(), to.toISOString()];
  const precise = to.getTime() - from.getTime() < 600_000 ? 19 : 16;
  const [day, time] = [start.slice(0, 10), (text: string) => text.slice(11, precise)];
  return day === end.slice(0, 10)
    ? `Between ${time(start)} and ${time(end)} (${day}, UTC)`
    : `Between ${day} ${time(start)} and ${end.slice(0, 10)} ${time(end)} (UTC)`;
}
