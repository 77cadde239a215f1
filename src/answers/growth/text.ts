import { escapeText } from '../../base/escape.js';
import { count, formatCount, formatSize } from '../../base/size.js';
import type { GrownProcess } from '../../contracts/growth.js';
import type { GrowthAnswer } from '../../growth/answer.js';
import type { Warning } from '../../walk/warnings.js';
import { cgroupColumn } from '../procs/document.js';
import { wrap } from '../text/cut.js';
import { type Column, renderTable, tableLines } from '../text/table.js';
import type { WatchPage } from '../text/watch-page.js';
import { endedGrowingWords, endedWords, formatSeconds, growthWords, perMinute } from './words.js';

/** Rows to print, and their level of detail. */
export interface GrowthTextOptions {
  /** Columns of the terminal; null: no terminal, and nothing is cut or wrapped. */
  readonly width: number | null;
  /** Processes to list. */
  readonly listed: readonly GrownProcess[];
  readonly verbose?: boolean | undefined;
}

/** Formats the growth in stored samples: processes, MemAvailable, then a table. */
export function growthText(
  answer: GrowthAnswer,
  { limit, ...options }: GrowthTextOptions & { readonly limit: number },
): string {
  const { listed, width, verbose = false } = options;
  const wrapped = (text: string) => wrap(text, width).join('\n');
  const more = listed.length - limit;
  return [
    ...growthWords(answer).map(wrapped),
    ...endedGrowingWords(answer).map(wrapped),
    renderTable(columnsOf(listed, verbose), listed.slice(0, limit), width),
    ...(more > 0 ? [wrapped(`${formatCount(more)} more: --limit N lists them.`)] : []),
    wrapped(samplesWords(answer)),
    ...notesOf(listed).map(wrapped),
  ].join('\n\n');
}

/** Formats one of several samples. */
export function growthPage(
  answer: GrowthAnswer,
  warnings: readonly Warning[],
  { listed, width, verbose = false }: GrowthTextOptions,
): WatchPage {
  const { heading, rows, note } = tableLines(columnsOf(listed, verbose), listed, width);
  const ended = endedWords(answer);
  return {
    top: [...growthWords(answer), ...(ended === null ? [] : [ended])].flatMap((text) => wrap(text, width)),
    heading,
    rows,
    end: [
      ...(note === undefined ? [] : [note]),
      ...notesOf(listed),
      ...warnings.map(({ message }) => `warning: ${escapeText(message)}`),
    ].flatMap((text) => wrap(text, width)),
  };
}

function samplesWords({ machine, samples, seconds, boots, pidsReused }: GrowthAnswer): string {
  const host = machine.host === null ? '' : ` on ${escapeText(machine.host)}`;
  const earlier =
    boots > 1
      ? ` The machine rebooted ${boots === 2 ? 'once' : `${formatCount(boots - 1)} times`} meanwhile: figures are for the last boot.`
      : '';
  const again =
    pidsReused > 0
      ? ` ${count(pidsReused, 'pid was reused by another process', 'pids were reused by other processes')}.`
      : '';
  return `Source: ${count(samples, 'sample')}${host} in ${formatSeconds(seconds)}, the last at ${machine.at.slice(0, 19)}Z.${earlier}${again}`;
}

const LEGEND =
  'HELD: anonymous memory, mapped shared memory and swap (PSS), and page tables. It excludes mapped files, and memfds that the process does not map (memory --live lists them). LOW, HIGH: bounds of RATE/MIN (99 % confidence). TREND: grows (significant, still growing), grew (significant, but not in the later half), steady (no significant growth: LOW is not above 0).';

/** Meaning of the columns; also that shared memory counts fully for a process whose smaps is not readable. */
function notesOf(listed: readonly GrownProcess[]): string[] {
  const rough = listed.filter(({ heldBy }) => heldBy === 'rss').length;
  return [
    LEGEND,
    ...(rough === 0
      ? []
      : [
          `HELD of ${count(rough, 'process', 'processes')} is RSS, which counts shared memory in full for each process: its PSS was not read (it is large, or permission is denied).`,
        ]),
  ];
}

function columnsOf(listed: readonly GrownProcess[], verbose: boolean): Column<GrownProcess>[] {
  const rate = (heading: string, of: 'perSecond' | 'low' | 'high', spare?: number) => ({
    heading,
    align: 'right' as const,
    value: ({ growth }: GrownProcess) => (growth ? perMinute(growth[of]) : '?'),
    ...(spare === undefined ? {} : { spare }),
  });
  const faults = (heading: string, of: 'minorFaultsPerSecond' | 'majorFaultsPerSecond', spare: number) => ({
    heading,
    spare,
    align: 'right' as const,
    value: (row: GrownProcess) => frequency(row[of]),
  });
  return [
    { heading: 'PID', align: 'right', value: ({ pid }) => String(pid) },
    { heading: 'HELD', align: 'right', value: ({ heldBytes }) => (heldBytes === null ? '?' : formatSize(heldBytes)) },
    rate('RATE/MIN', 'perSecond'),
    rate('LOW', 'low', 2),
    rate('HIGH', 'high', 2),
    { heading: 'TREND', value: ({ course }) => course ?? '?' },
    faults('MINOR/S', 'minorFaultsPerSecond', 4),
    faults('MAJOR/S', 'majorFaultsPerSecond', 3),
    ...(verbose
      ? [
          numberColumn('SAMPLES', ({ growth }) => growth && String(growth.samples)),
          numberColumn('FOR', ({ growth }) => growth && formatSeconds(growth.seconds)),
          numberColumn('PSI', ({ cgroupPressure: pressure }) => pressure && `${pressure.some.avg10} %`),
        ]
      : []),
    { heading: 'COMMAND', value: ({ comm }) => escapeText(comm) },
    ...cgroupColumn(listed, (row) => row),
  ];
}

function numberColumn(heading: string, of: (row: GrownProcess) => string | null): Column<GrownProcess> {
  return { heading, align: 'right', value: (row) => of(row) ?? '?', spare: 6 };
}

function frequency(perSecond: number | null): string {
  if (perSecond === null) return '?';
  return perSecond < 10 && perSecond > 0 ? perSecond.toFixed(1) : formatCount(Math.round(perSecond));
}
