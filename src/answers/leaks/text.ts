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

/** The answer as text: a headline, a table of stacks, the notes, and the next command. */
export function leaksText(answer: LeaksAnswer, { limit, width }: LeaksTextOptions): string {
  const { sites } = answer;
  const wrapped = (text: string) => wrap(text, width).join('\n');
  const more = sites.length - limit;
  return [
    wrapped(headline(answer)),
    ...(sites.length === 0 ? [] : [renderTable(columns(answer), sites.slice(0, limit), width)]),
    ...(more > 0
      ? [
          wrapped(
            `${formatCount(more)} more ${more === 1 ? 'stack' : 'stacks'}: --limit N lists them.`,
          ),
        ]
      : []),
    wrapped(aboutWords(answer)),
    ...answer.notes.map((note) => wrapped(noteWords(note))),
    ...nextWords(answer).map(wrapped),
  ].join('\n\n');
}

function columns({ recording: { sample } }: LeaksAnswer): Column<LeakSite>[] {
  const isSampled = sample.oneIn > 1;
  return [
    { heading: 'VERDICT', value: ({ verdict }) => verdict },
    { heading: 'HELD', align: 'right', value: ({ held }) => formatSize(held.bytes) },
    ...(isSampled
      ? ([
          {
            heading: 'HELD MIN',
            align: 'right',
            value: ({ held }) => formatSize(Math.round(held.low)),
            spare: 3,
          },
          {
            heading: 'HELD MAX',
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
      heading: 'RATE/MIN',
      align: 'right',
      value: ({ growth }) => growthCell(growth, 'perSecond'),
      spare: 1,
    },
    {
      heading: 'LOW',
      align: 'right',
      value: ({ growth }) => growthCell(growth, 'low'),
      spare: 5,
    },
    {
      heading: 'HIGH',
      align: 'right',
      value: ({ growth }) => growthCell(growth, 'high'),
      spare: 5,
    },
    {
      heading: 'REASON',
      value: ({ reason }) => reasonWords(reason),
      shrinks: { keeps: 'words', least: 12 },
      spare: 6,
    },
    {
      heading: 'HELD BY',
      value: ({ survivors }) => nowCell(survivors),
      shrinks: { keeps: 'words', least: 16 },
      spare: 2,
    },
    {
      heading: 'ALLOCATION SITE',
      value: ({ site }) => siteName(site),
      shrinks: { keeps: 'start', least: 20 },
    },
  ];
}

/** How the allocations were recorded. */
function aboutWords({ recording, windows, duration, sites }: LeaksAnswer): string {
  const { method, sample, type, tracing } = recording;
  const what = { page: 'page frame', slab: 'object', vmalloc: 'area' }[type];
  const of =
    sample.oneIn === 1
      ? ''
      : `, one ${what} in ${formatCount(sample.oneIn)}. HELD is an estimate, between HELD MIN and HELD MAX with 95 % confidence`;
  const share = tracing?.cost.share ?? null;
  const cost = share === null ? '' : ` Recording cost ${(100 * share).toFixed(1)} % of a CPU.`;
  return `Source: ${methodWords(method)}, ${formatSeconds(duration / 1000)}, ${formatCount(windows)} ${windows === 1 ? 'window' : 'windows'}${of}.${sureWords(sites)}${cost}`;
}

/** The confidence of the growth rates, which few windows make weak. */
function sureWords(sites: readonly LeakSite[]): string {
  const confidence = sites.find(({ growth }) => growth !== null)?.growth?.confidence;
  if (confidence === undefined) return '';
  return ` RATE/MIN is between LOW and HIGH with ${Math.floor(100 * confidence)} % confidence.`;
}
