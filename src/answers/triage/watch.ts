import type { TriageWatchEndJson } from '../../contracts/triage.js';
import { causeFacts } from '../../triage/answer.js';
import type { Finding } from '../../triage/finding.js';
import type { TriageSample } from '../../triage/watch.js';
import { wrap } from '../text/cut.js';
import type { WatchPage } from '../text/watch-page.js';
import { concluded } from './causes.js';
import { conclusionLines, summary, unreadWords } from './text.js';
import { findingSentences } from './words.js';

const SEVERITY_WIDTH = 'CRITICAL  '.length;

/** The last line of `--watch --json`. */
export function triageWatchEnd(samples: number, interrupted: boolean): TriageWatchEndJson {
  return { schema: 'kdump-mem.triage-watch-end/1', samples, interrupted };
}

/** One sample on a screen: every finding, with the time since which it is known. */
export function triageWatchPage(sample: TriageSample, width: number): WatchPage {
  const { answer, findings, unconfirmed, gone } = sample;
  const { sentences } = concluded(answer.findings, causeFacts(answer));
  return {
    top: [...wrap(summary(answer), width), ...conclusionLines(sentences, { width }), ...unreadLines(sample, width), ''],
    heading: 'SINCE     FINDING',
    rows: [
      ...findings.flatMap(({ finding, since }) => line(since.toISOString().slice(11, 19), finding, width)),
      ...unconfirmed.flatMap((finding) => line('not read', finding, width)),
      ...gone.flatMap((finding) => line('gone', finding, width)),
    ],
    end: findings.length + unconfirmed.length + gone.length === 0 ? ['none'] : [],
  };
}

/** One sample in a pipe: of the first the headline and all findings, then what changed; undefined: nothing. */
export function triageWatchBlock(sample: TriageSample, width: number | null): string | undefined {
  const { answer, number, at, fresh, gone } = sample;
  if (number > 1 && fresh.length + gone.length === 0) return undefined;
  const first = [...wrap(summary(answer), width), ...unreadLines(sample, width)];
  return [
    `sample ${number}, ${at.toISOString().slice(0, 19)}Z`,
    ...(number === 1 ? first : []),
    ...fresh.flatMap((finding) => line('new', finding, width)),
    ...gone.flatMap((finding) => line('gone', finding, width)),
    '',
  ].join('\n');
}

function unreadLines({ answer }: TriageSample, width: number | null): string[] {
  const missing = unreadWords(answer.unread);
  return missing === undefined ? [] : wrap(missing, width);
}

function line(when: string, finding: Finding, width: number | null): string[] {
  const severity = (finding.past ? 'earlier' : finding.severity).toUpperCase().padEnd(SEVERITY_WIDTH);
  const text = `${findingSentences(finding)[0]} [${finding.code}]`;
  const room = width === null ? null : Math.max(20, width - 2 * SEVERITY_WIDTH);
  return wrap(text, room).map((line, index) =>
    index === 0 ? `${when.padEnd(SEVERITY_WIDTH)}${severity}${line}` : `${' '.repeat(2 * SEVERITY_WIDTH)}${line}`,
  );
}
