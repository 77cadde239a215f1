import { count, formatCount, formatSize } from '../../base/size.js';
import type { LeakSite, LeaksAnswer } from '../../contracts/leaks.js';
import { formatSeconds } from '../growth/words.js';
import { type Block, tableBlock } from '../text/blocks.js';
import { columnsOf, wrap } from '../text/cut.js';
import { type Column, type ListOptions, tableLines } from '../text/table.js';
import { siteName } from './site-words.js';
import { growthCell, headline, heldByCell, isDecisive, methodWords, nextWords, reasonWords } from './words.js';

/** Formats the answer: a headline, a table of stacks, the notes, and the next command. */
export function leaksText(answer: LeaksAnswer, { limit, width }: ListOptions): string {
  const { sites, warnings } = answer;
  const wrapped = (text: string) => wrap(text, width).join('\n');
  const more = sites.length - limit;
  const table = sites.length === 0 ? null : tableOf(answer, sites.slice(0, limit), width);
  // The headline already mentions stacks without a verdict.
  const isRepeated = ({ code }: (typeof warnings)[number]) => code === 'too-few-windows' && sites.length > 0;
  const noted = (isFirst: boolean) =>
    warnings
      .filter((warning) => isDecisive(warning, answer) === isFirst && !isRepeated(warning))
      .map(({ message }) => wrapped(message));
  return [
    wrapped(headline(answer)),
    ...noted(true),
    ...(table === null ? [] : [table.lines.join('\n')]),
    ...(more > 0 ? [wrapped(`${count(more, 'more stack')}: --limit N lists them.`)] : []),
    wrapped(aboutWords(answer, table?.heading ?? '')),
    ...noted(false),
    ...nextWords(answer).map(wrapped),
  ].join('\n\n');
}

/** Returns the table and sentences of a page, without the headline. */
export function leaksBlocks(answer: LeaksAnswer, limit: number): Block[] {
  const { sites, warnings } = answer;
  const shown = columns(answer).filter(({ value }) => sites.some((site) => value(site) !== ''));
  const headings = shown.map(({ heading }) => heading).join(' ');
  const more = sites.length - limit;
  return [
    ...(sites.length > 0 ? [tableBlock('Stacks that allocate', shown, sites.slice(0, limit))] : []),
    ...(more > 0 ? [`${formatCount(more)} more stacks: --limit N lists them.`] : []),
    aboutWords(answer, headings),
    ...warnings.map(({ message }) => message),
  ];
}

const INDENT = 4;

/**
 * Formats the table. If a row is too long for the terminal, its allocation site and holders move to a second
 * line.
 */
function tableOf(answer: LeaksAnswer, sites: readonly LeakSite[], width: number | null) {
  const all = columns(answer).filter(({ value }) => sites.some((site) => value(site) !== ''));
  const whole = tableLines(all, sites, null);
  if (width === null || [whole.heading, ...whole.rows].every((line) => columnsOf(line) <= width))
    return { heading: whole.heading, lines: [whole.heading, ...whole.rows] };
  const short = all.filter(({ heading }) => heading !== 'HELD BY' && heading !== 'ALLOCATION SITE');
  const { heading, rows, note } = tableLines(short, sites, width);
  const lines = rows.flatMap((row, index) => [row, ...siteLines(sites[index]!, width)]);
  return { heading, lines: [heading, ...lines, ...wrap(note ?? '', width).filter(Boolean)] };
}

function siteLines(site: LeakSite, width: number): string[] {
  const heldBy = heldByCell(site.survivors);
  const words = `${siteName(site)}${heldBy === '' ? '' : `, held by ${heldBy}`}`;
  return wrap(words, Math.max(1, width - INDENT)).map((line) => `${' '.repeat(INDENT)}${line}`);
}

function columns({ sample }: LeaksAnswer): Column<LeakSite>[] {
  const isSampled = sample.oneIn > 1;
  return [
    { heading: 'VERDICT', value: ({ verdict }) => verdict },
    { heading: 'HELD', align: 'right', value: ({ bytes }) => formatSize(bytes) },
    ...(isSampled
      ? ([
          { heading: 'HELD MIN', align: 'right', value: ({ lowBytes }) => formatSize(lowBytes), spare: 3 },
          { heading: 'HELD MAX', align: 'right', value: ({ highBytes }) => formatSize(highBytes), spare: 3 },
        ] satisfies Column<LeakSite>[])
      : []),
    {
      heading: 'BLOCKS',
      align: 'right',
      value: ({ blocks }) => (blocks === null ? '' : formatCount(blocks)),
      spare: 4,
    },
    {
      heading: 'AGE',
      align: 'right',
      value: ({ survivors }) => (survivors?.ages ? formatSeconds(survivors.ages.median / 1000) : ''),
      spare: 4,
    },
    { heading: 'RATE/MIN', align: 'right', value: ({ growth }) => growthCell(growth, 'perSecond') },
    { heading: 'LOW', align: 'right', value: ({ growth }) => growthCell(growth, 'low') },
    { heading: 'HIGH', align: 'right', value: ({ growth }) => growthCell(growth, 'high') },
    { heading: 'REASON', value: ({ reason }) => reasonWords(reason), spare: 2 },
    { heading: 'HELD BY', value: ({ survivors }) => heldByCell(survivors) },
    { heading: 'ALLOCATION SITE', value: (site) => siteName(site) },
  ];
}

/** Describes how the allocations were recorded. */
function aboutWords(answer: LeaksAnswer, heading: string): string {
  const { method, sample, type, tracing, windows, seconds, sites } = answer;
  const what = { page: 'page frame', slab: 'object', vmalloc: 'area' }[type];
  const of =
    sample.oneIn === 1
      ? ''
      : `, one ${what} in ${formatCount(sample.oneIn)}. HELD is an estimate${heading.includes('HELD MIN') ? ', between HELD MIN and HELD MAX with 95 % confidence' : ''}`;
  const share = tracing?.share ?? null;
  const cost = share === null ? '' : ` Recording cost ${(100 * share).toFixed(1)} % of a CPU.`;
  return `Source: ${methodWords(method)}, ${formatSeconds(seconds)}, ${count(windows, 'window')}${of}. HELD: allocated in this time and not freed.${sureWords(sites)}${cost}`;
}

/** Returns the confidence of the growth rates, which is low with few windows. */
function sureWords(sites: readonly LeakSite[]): string {
  const confidence = sites.find(({ growth }) => growth !== null)?.growth?.confidence;
  if (confidence === undefined) return '';
  return ` RATE/MIN is between LOW and HIGH with ${Math.floor(100 * confidence)} % confidence.`;
}
