import type { LeakSite, LeaksAnswer } from '../../leaks/answer.js';
import { formatSeconds } from '../growth/words.js';
import { wrap } from '../text/cut.js';
import { formatCount, formatSize } from '../text/size.js';
import { type Column, renderTable } from '../text/table.js';
import { siteName } from './site-words.js';
import {
  growthCell,
  headline,
  methodWords,
  nextWords,
  noteWords,
  nowCell,
  reasonWords,
} from './words.js';

export interface LeaksTextOptions {
  /** Rows of the table. */
  readonly limit: number;
  /** Columns of the terminal; null: there is none, and nothing is cut or broken. */
  readonly width: number | null;
}

/** What leaks, by stack: a sentence, a table, and how far that is known. */
export function leaksText(answer: LeaksAnswer, { limit, width }: LeaksTextOptions): string {
  const { sites } = answer;
  const said = (text: string) => wrap(text, width).join('\n');
  const more = sites.length - limit;
  return [
    said(headline(answer)),
    ...(sites.length === 0 ? [] : [renderTable(columns(answer), sites.slice(0, limit), width)]),
    ...(more > 0
      ? [
          said(
            `${formatCount(more)} more ${more === 1 ? 'stack' : 'stacks'}: --limit N lists them.`,
          ),
        ]
      : []),
    said(aboutWords(answer)),
    ...answer.notes.map((note) => said(noteWords(note))),
    ...nextWords(answer).map(said),
  ].join('\n\n');
}

function columns({ recording: { sample } }: LeaksAnswer): Column<LeakSite>[] {
  const isSampled = sample.oneIn > 1;
  return [
    { heading: 'IT', value: ({ verdict }) => verdict },
    { heading: 'HELD', align: 'right', value: ({ held }) => formatSize(held.bytes) },
    ...(isSampled
      ? ([
          {
            heading: 'AT LEAST',
            align: 'right',
            value: ({ held }) => formatSize(Math.round(held.low)),
            spare: 3,
          },
          {
            heading: 'AT MOST',
            align: 'right',
            value: ({ held }) => formatSize(Math.round(held.high)),
            spare: 3,
          },
        ] satisfies Column<LeakSite>[])
      : []),
    {
      heading: 'BLOCKS',
      align: 'right',
      value: ({ held: { blocks } }) => (blocks === null ? '' : formatCount(blocks)),
      spare: 4,
    },
    {
      heading: 'AGE',
      align: 'right',
      value: ({ survivors }) =>
        survivors?.ages ? formatSeconds(survivors.ages.median / 1000) : '',
      spare: 4,
    },
    {
      heading: 'A MINUTE',
      align: 'right',
      value: ({ growth }) => growthCell(growth, 'perSecond'),
      spare: 1,
    },
    {
      heading: 'FROM',
      align: 'right',
      value: ({ growth }) => growthCell(growth, 'low'),
      spare: 5,
    },
    { heading: 'TO', align: 'right', value: ({ growth }) => growthCell(growth, 'high'), spare: 5 },
    {
      heading: 'WHY',
      value: ({ reason }) => reasonWords(reason),
      shrinks: { keeps: 'words', least: 12 },
      spare: 6,
    },
    {
      heading: 'NOW',
      value: ({ survivors }) => nowCell(survivors),
      shrinks: { keeps: 'words', least: 16 },
      spare: 2,
    },
    {
      heading: 'WHO ALLOCATES',
      value: ({ site }) => siteName(site),
      shrinks: { keeps: 'start', least: 20 },
    },
  ];
}

/** How it was recorded. */
function aboutWords({ recording, windows, duration, sites }: LeaksAnswer): string {
  const { method, sample, type, tracing } = recording;
  const what = { page: 'page frame', slab: 'object', vmalloc: 'area' }[type];
  const of =
    sample.oneIn === 1
      ? ''
      : `, one ${what} in ${formatCount(sample.oneIn)}: figures are estimates, between AT LEAST and AT MOST with 95 %`;
  const share = tracing?.cost.share ?? null;
  const cost = share === null ? '' : ` It cost ${(100 * share).toFixed(1)} % of a CPU.`;
  return `By ${methodWords(method)} in ${formatSeconds(duration / 1000)}, ${formatCount(windows)} ${windows === 1 ? 'window' : 'windows'}${of}.${sureWords(sites)}${cost}`;
}

/** Of few windows the interval of the growth is a weak one. */
function sureWords(sites: readonly LeakSite[]): string {
  const confidence = sites.find(({ growth }) => growth !== null)?.growth?.confidence;
  if (confidence === undefined) return '';
  return ` A MINUTE is between FROM and TO with ${Math.floor(100 * confidence)} %.`;
}
