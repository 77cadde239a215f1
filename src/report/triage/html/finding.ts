import type { LogRecord } from '../../../log-records.js';
import type { Figure, Finding, FindingCode, LogEvidence } from '../../../triage/finding.js';
import { FINDINGS } from '../../explain/findings.js';
import { type Content, html, raw, sentence } from '../../html/html.js';
import { logTime } from '../../log/text.js';
import { formatCount, formatSize } from '../../text/size.js';
import { oomLines } from '../oom-text.js';
import { adviceWords, findingWords } from '../words.js';
import { nearMessages } from './log.js';
import { stackBlock } from './stacks.js';

interface Place {
  readonly index: number;
  readonly records: readonly LogRecord[];
  /** The options that name the dump. */
  readonly source: string;
}

const LABELS = { critical: 'Critical', warning: 'Warning', note: 'Note' } as const;

/** A finding: its sentence and what to do, then what it rests on, behind a line each. */
export function findingSection(finding: Finding, { index, records, source }: Place): Content {
  const { severity, code, evidence, deeper } = finding;
  const id = raw(`finding-${index}`);
  const advice = adviceWords(finding);
  const explained = FINDINGS[code as FindingCode] ?? undefined;
  const lines = evidence.filter((one) => one.kind === 'log');
  const stacks = evidence.filter((one) => one.kind === 'stack');
  return html`<article class="${raw(`finding ${severity}`)}" aria-labelledby="${id}">
<h3 id="${id}"><span class="severity">${LABELS[severity]}</span> <span class="name">${code}</span></h3>
<p>${sentence(findingWords(finding))}</p>
${advice === undefined ? undefined : html`<p><strong>Do:</strong> ${sentence(advice)}</p>`}
${lines.length > 0 ? html`<pre>${lines.map(logLine)}</pre>` : undefined}
${stacks.map(stackBlock)}
${finding.oom ? tables(oomLines(finding, null, true)) : undefined}
${figures(finding, index)}
${nearMessages(records, lines, code)}
${explained ? html`<details><summary>What ${code} means</summary><p>${explained.means}</p><p>Known by: ${explained.known}</p><p>${explained.next}</p></details>` : undefined}
${deeper === undefined ? undefined : html`<p class="faint">More: <code>kdump-mem ${deeper} ${sentence(source)}</code></p>`}
</article>
`;
}

function logLine({ timestamp, printedTime, text }: LogEvidence): Content {
  return html`${logTime(timestamp, printedTime)} ${text}\n`;
}

function tables(lines: readonly string[]): Content {
  if (lines.length === 0) return undefined;
  return html`<details><summary>Processes, zones and counters then</summary><pre>${lines.join('\n')}</pre></details>`;
}

function figures({ code, figures: all }: Finding, index: number): Content {
  const known = Object.entries(all).filter(([, figure]) => figure !== null);
  if (known.length === 0) return undefined;
  const rows = known.map(
    ([name, figure]) => html`<dt>${name}</dt><dd>${figureText(name, figure)}</dd>\n`,
  );
  return html`<details><summary>Figures of ${code} (${index + 1})</summary><dl>${rows}</dl></details>`;
}

function figureText(name: string, figure: Figure): string {
  if (typeof figure !== 'number') return String(figure);
  if (/[bB]ytes$/.test(name)) return `${formatCount(figure)} (${formatSize(figure)})`;
  return Number.isInteger(figure) ? String(figure) : figure.toPrecision(4);
}
