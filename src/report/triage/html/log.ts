import type { LogRecord } from '../../../log-records.js';
import type { LogEvidence } from '../../../triage/finding.js';
import { messagesAround, type NearMessage } from '../../../triage/log/around.js';
import { type Content, html, sentence } from '../../html/html.js';
import { escapeLine, logTime } from '../../log/text.js';
import { formatCount } from '../../text/size.js';

/** Messages at the end of the log. */
const LAST = 100;

/** What the log has before and after the lines that a finding rests on. */
export function nearMessages(
  records: readonly LogRecord[],
  lines: readonly LogEvidence[],
  code: string,
): Content {
  const near = messagesAround(records, new Set(lines.map(({ seq }) => seq)));
  if (near.length === 0) return undefined;
  return html`<details><summary>The log around ${code}</summary><pre>${near.map(nearMessage)}</pre></details>`;
}

function nearMessage({ record, asked, gap }: NearMessage): Content {
  const text = message(record);
  return html`${gap ? '…\n' : ''}${asked ? html`<mark>${text}</mark>` : text}`;
}

/** The end of the log: of a panic, what came before it. */
export function lastMessages(records: readonly LogRecord[] | undefined): Content {
  if (records === undefined || records.length === 0) return html`<p>There is none.</p>`;
  const shown = records.slice(-LAST);
  return html`<details><summary>The last ${formatCount(shown.length)} of ${formatCount(records.length)} messages</summary><pre>${shown.map(message)}</pre></details>`;
}

/** Of one message; kernels write no longer ones, and damage can make one of any length. */
const MOST_TEXT = 2048;

function message({ timestamp, text }: LogRecord): Content {
  const shown = text.length > MOST_TEXT ? `${text.slice(0, MOST_TEXT)}…` : text;
  return shown
    .split('\n')
    .map((line) => html`${logTime(timestamp)} ${sentence(escapeLine(line))}\n`);
}
