import type { MemoryAnswer } from '../../../account/memory/answer.js';
import { escapeText } from '../../../base/escape.js';
import { formatCount, formatSize } from '../../../base/size.js';
import type { StackGroup } from '../../../contracts/task-stacks.js';
import type { LogRecord, TextRecord } from '../../../records/log-records.js';
import { causeFacts, type LogTriage, releaseOf, type TriageAnswer } from '../../../triage/answer.js';
import type { CauseFacts } from '../../../triage/causes.js';
import type { Finding, LogEvidence, TriageDetail } from '../../../triage/finding.js';
import { FINDINGS, type FindingCode } from '../../../triage/findings/all.js';
import type { Declaration, Figure } from '../../../triage/findings/declared.js';
import { messagesAround, type NearMessage } from '../../../triage/log/lines.js';
import { leavesComplete } from '../../../walk/warnings.js';
import { forestHtml } from '../../blocked/document.js';
import { CORRUPTION } from '../../explain/generated.js';
import { type Content, html, raw, sentence } from '../../html/html.js';
import { missingSection, type PageFacts, pageHtml, pageTitle } from '../../html/page.js';
import type { Treemap } from '../../html/treemap.js';
import { escapeLine, logTime, textLogWords } from '../../log/render.js';
import { categoriesTable, details, drawnToScale, largeFigures } from '../../memory/html/page.js';
import { headline } from '../../memory/sentences.js';
import { sourceText } from '../../memory/words.js';
import { framesText, ownersText } from '../../task-stacks/document.js';
import { hostCommand } from '../../text/blocks.js';
import { concluded, type FindingTree, inTextOrder } from '../causes.js';
import { oomLines } from '../oom.js';
import { holdersWords, lacksOneProcess, lostLines, summary, unreadWords } from '../text.js';
import { adviceWords, findingSentences, findingWords, rulesLines, titleWords } from '../words.js';

/**
 * The answer to `triage` as one file: summary and findings first, then everything that they are based on.
 *
 * @param detail stacks; undefined: the source has none
 */
export function triageHtml(answer: TriageAnswer, detail: TriageDetail | undefined, facts: PageFacts): string {
  const { kernel, machine, host, logs, memory, checked } = answer;
  const findings = inTextOrder(answer.findings, causeFacts(answer));
  const { source, version, made } = facts;
  const map = memory && drawnToScale(memory);
  const held = holdersWords(answer);
  const release = kernel?.release ?? host?.release ?? (logs && releaseOf(logs)) ?? null;
  const body = html`<p class="headline">${sentence(summary(answer))}</p>
${conclusion(findings, causeFacts(answer), memory)}
${missing(answer, detail)}
${rules(answer)}
<h2>Findings</h2>
${findingsSection(findings, recordsIn(answer), source)}${
  checked &&
  html`
<p class="faint">Checked: ${checked.join(', ')}.</p>`
}${
  logs
    ? undefined
    : html`
<h2>Memory</h2>
${memorySection(memory, map)}
${held === undefined ? undefined : html`<p>${sentence(held)}</p>`}`
}${
  detail &&
  html`
<h2>Stacks</h2>
${runningStacks(detail)}
${blockedStacks(detail)}`
}${
  host
    ? undefined
    : html`
<h2>Log</h2>
${logs ? textLogs(logs) : lastMessages(answer.log?.records)}`
}`;
  const about = html`<p>kdump-mem ${version}, ${made.toISOString().replace(/\.\d+/, '')}. ${
    logs ? 'Log' : kernel ? `Kernel ${kernel.release}` : `Linux ${release}`
  }: <code>${sentence(source)}</code>.</p>`;
  const at = machine?.clock
    ? new Date(Number(machine.clock.wallClock / 1_000_000n)).toISOString()
    : (host?.takenAt ?? null);
  const name = logs ? source : (machine?.uts?.nodename ?? host?.host ?? null);
  return pageHtml({
    title: pageTitle('Triage', { host: name, release, at }),
    style: `${TRIAGE_STYLE}${map?.style ?? ''}`,
    body,
    about,
  });
}

/** The log that a finding is from; empty: not available. */
function recordsIn({ logs, log, host }: TriageAnswer): (finding: Finding) => Records {
  if (!logs) return () => (host ? [] : (log?.records ?? []));
  return ({ figures }) => logs.find(({ name }) => logs.length === 1 || name === figures.log)?.held?.records ?? [];
}

function textLogs(logs: readonly LogTriage[]): Content {
  const older = logs.reduce((sum, { held }) => sum + (held?.older ?? 0), 0);
  return html`${older > 0 ? html`<p class="faint">The oldest ${formatCount(older)} messages are omitted, except those of findings.</p>` : undefined}
${logs.map(({ name, log, held }) => html`<p>${sentence(escapeText(name))}: ${sentence(textLogWords(log))}</p>${lastMessages(held?.records)}`)}`;
}

/** The conclusion, large figures, and the chain of causes. */
function conclusion(findings: readonly Finding[], facts: CauseFacts, memory?: MemoryAnswer): Content {
  const { sentences, trees } = concluded(findings, facts);
  const paragraph = sentences.length > 0 ? html`<p>${sentence(sentences.join(' '))}</p>` : undefined;
  const chains = trees.filter(({ below }) => below.some(isEffect)).slice(0, MAX_WHOLE);
  return [
    paragraph,
    memory && largeFigures(memory),
    chains.length > 0
      ? html`<nav aria-label="Causes and their effects"><ul>${chains.map((tree) => chain(tree, findings))}</ul></nav>`
      : undefined,
  ];
}

const isEffect = ({ relation }: FindingTree) => relation !== 'part';
const EFFECTS = { follows: 'Effect: ', probable: 'Probable effect: ', part: '' } as const;

/** A cause with what follows from it, each a link to its section. */
function chain({ finding, relation, below }: FindingTree, all: readonly Finding[]): Content {
  const index = all.indexOf(finding);
  const name = sentence(titleWords(finding) ?? findingSentences(finding)[0]);
  const link = index < MAX_WHOLE ? html`<a href="#finding-${index}">${name}</a>` : name;
  const effects = below
    .filter(isEffect)
    .slice(0, MAX_WHOLE)
    .map((tree) => chain(tree, all));
  const parts = effects.length > 0 ? html`<ul>${effects}</ul>` : undefined;
  return html`<li>${relation && EFFECTS[relation]}${link}${parts}</li>`;
}

/** Findings shown in full, and of those the ones with the log around them: a hostile log has any number. */
const MAX_WHOLE = 100;
const MAX_WITH_LOG = 30;
/** Others, by their sentences. */
const MAX_SAID = 1000;

function findingsSection(
  findings: readonly Finding[],
  recordsOf: (finding: Finding) => Records,
  source: string,
): Content {
  if (findings.length === 0) return html`<p>None.</p>`;
  let left = MAX_WITH_LOG;
  const whole = findings.slice(0, MAX_WHOLE).map((finding, index) => {
    const records = left > 0 ? recordsOf(finding) : [];
    if (records.length > 0) left--;
    return findingSection(finding, { index, records, source });
  });
  const others = findings.slice(MAX_WHOLE);
  const without =
    findings.length > MAX_WITH_LOG
      ? html`<p class="faint">The log around a finding is shown for the first ${MAX_WITH_LOG} findings.</p>`
      : undefined;
  if (others.length === 0) return [without, ...whole];
  const items = others
    .slice(0, MAX_SAID)
    .map((finding) => html`<li>${finding.severity} ${finding.code}: ${sentence(findingWords(finding))}</li>\n`);
  const omitted = others.length - items.length;
  const more = omitted > 0 ? html`<p>and ${formatCount(omitted)} more</p>` : undefined;
  return html`${without}${whole}<details><summary><h3>${formatCount(others.length)} more findings</h3></summary>
<ul>${items}</ul>${more}
</details>`;
}

function missing(answer: TriageAnswer, detail: TriageDetail | undefined): Content {
  const warnings = detail?.warnings ?? [];
  const messages = new Set([...answer.warnings, ...warnings].map(({ message }) => message));
  const unread = unreadWords(answer.unread ?? [], true);
  // A single process cannot change the answer: no alarm.
  if (unread !== undefined && lacksOneProcess(answer))
    return html`<p class="faint">${sentence(unread)}</p>${missingSection(true, [...lostLines(answer), ...messages])}`;
  if (unread !== undefined) messages.add(unread);
  return missingSection(answer.complete && warnings.every(leavesComplete), [...lostLines(answer), ...messages]);
}

function rules({ rules: outcome }: Pick<TriageAnswer, 'rules'>): Content {
  if (!outcome) return undefined;
  const lines = rulesLines(outcome).map((line) => html`<li>${sentence(line)}</li>\n`);
  return html`<h2>Rules</h2>
<ul>${lines}</ul>`;
}

function memorySection(memory: TriageAnswer['memory'], map: Treemap | undefined): Content {
  if (!memory || !map) return html`<p>Not available: the reason is in the list above.</p>`;
  return html`<p>${sentence(`${headline(memory, '')}${sourceText(memory)}`)}</p>
<p><a class="skip" href="#categories">Go to the table of categories</a></p>
${map.markup}
<details open><summary><h3>Categories, with their owners</h3></summary>
${categoriesTable(memory)}
</details>
${details(memory, 'h3')}`;
}

/** Rules of the page of `triage`, after those of all pages: edges have a contrast of 3, text of 4.5. */
const TRIAGE_STYLE = `
:root { --warn: #8a5a00; --mark: #fff3bf; }
@media (prefers-color-scheme: dark) { :root { --warn: #e0b04b; --mark: #4a3d0a; } }
h3 { font-size: 1.05rem; margin: 0 0 .25rem; }
summary h3 { display: inline; }
.finding { border-left: .4rem solid var(--line); padding: .25rem 0 .25rem 1rem; margin: 1.25rem 0; }
.finding.critical { border-color: var(--alarm); }
.finding.warning { border-color: var(--warn); }
.finding.critical .severity { color: var(--alarm); }
.finding.warning .severity { color: var(--warn); }
.finding details { margin: .5rem 0; }
pre {
  font: .8rem/1.45 ui-monospace, 'DejaVu Sans Mono', monospace; white-space: pre-wrap; overflow-wrap: anywhere;
  background: var(--soft); border: 1px solid var(--line); padding: .5rem; margin: .5rem 0;
}
mark { background: var(--mark); color: var(--text); }
dl { display: grid; grid-template-columns: fit-content(45%) 1fr; gap: .15rem 1rem; font-size: .9rem; margin: .5rem 0; }
dt { color: var(--faint); }
dd { margin: 0; font-variant-numeric: tabular-nums; }
@media print {
  :root { --warn: #8a5a00; --mark: #fff3bf; }
  h2, h3 { break-after: avoid; }
  pre { font-size: 7pt; background: none; }
  mark { font-weight: bold; }
}
`;

type Records = readonly (LogRecord | TextRecord)[];

interface Place {
  readonly index: number;
  readonly records: Records;
  /** The options that name the dump. */
  readonly source: string;
}

const LABELS = { critical: 'Critical', warning: 'Warning', note: 'Note' } as const;

/** A finding: its sentences and advice, then its evidence in sections to open. */
function findingSection(finding: Finding, { index, records, source }: Place): Content {
  const { severity, code, evidence, next } = finding;
  const id = raw(`finding-${index}`);
  const advice = adviceWords(finding);
  const title = titleWords(finding);
  const explained: Declaration | undefined = FINDINGS[code as FindingCode];
  const corrupted = finding.report?.corrupted;
  const lines = evidence.filter((evidence) => evidence.kind === 'log');
  const stacks = evidence.filter((evidence) => evidence.kind === 'stack');
  return html`<article class="${raw(`finding ${severity}`)}" aria-labelledby="${id}">
<h3 id="${id}"><span class="severity">${LABELS[severity]}${finding.past && ' (earlier)'}</span> <span class="name">${code}</span></h3>
${title === undefined ? undefined : html`<p><strong>${sentence(title)}</strong></p>`}
<p>${sentence(findingWords(finding))}</p>
${corrupted == null ? undefined : html`<p>${CORRUPTION[corrupted].means}</p>`}
${advice === undefined ? undefined : html`<p><strong>Do:</strong> ${sentence(advice)}</p>`}
${lines.length > 0 ? html`<pre>${lines.map(logLine)}</pre>` : undefined}
${finding.waits && forestHtml(finding.waits.roots, finding.waits.locks)}
${stacks.map(stackBlock)}
${finding.oom ? tables(oomLines(finding, null, true)) : undefined}
${figures(finding, index)}
${nearMessages(records, lines, code)}
${explained ? html`<details><summary>What ${code} means</summary><p>${explained.means}</p><p>Source: ${explained.known}</p><p>${explained.next}</p></details>` : undefined}
${next === undefined ? undefined : html`<p class="faint">More: <code>${sentence(hostCommand(next, source))}</code></p>`}
</article>
`;
}

function logLine({ timestamp, printedTime, text }: LogEvidence): Content {
  return html`${logTime(timestamp, printedTime)} ${text}\n`;
}

function tables(lines: readonly string[]): Content {
  if (lines.length === 0) return undefined;
  return html`<details><summary>Processes, zones and counters at that time</summary><pre>${lines.join('\n')}</pre></details>`;
}

function figures({ code, figures: all }: Finding, index: number): Content {
  const known = Object.entries(all).filter(([, figure]) => figure !== null);
  if (known.length === 0) return undefined;
  const rows = known.map(([name, figure]) => html`<dt>${name}</dt><dd>${figureText(name, figure)}</dd>\n`);
  return html`<details><summary>Figures of ${code} (${index + 1})</summary><dl>${rows}</dl></details>`;
}

function figureText(name: string, figure: Figure): string {
  if (typeof figure !== 'number') return String(figure);
  if (/[bB]ytes$/.test(name)) return `${formatCount(figure)} (${formatSize(figure)})`;
  return Number.isInteger(figure) ? String(figure) : figure.toPrecision(4);
}

/** Stacks: a browser must be able to show the page of the largest machine. */
const MOST = 100;

/** The functions of a stack, one a line. */
function stackBlock(stack: Parameters<typeof framesText>[0]): Content {
  // Every line is indented for a terminal.
  const lines = framesText(stack, false).map((line) => line.slice(2));
  return html`<pre>${sentence(lines.join('\n'))}</pre>`;
}

function runningStacks({ running }: TriageDetail): Content {
  return list('Tasks running on the CPUs', running);
}

function blockedStacks({ blocked }: TriageDetail): Content {
  return list('Tasks in uninterruptible sleep (state D)', blocked);
}

function list(heading: string, groups: readonly StackGroup[] | undefined): Content {
  if (groups === undefined) return html`<p>${heading}: not available; the reason is in the list above.</p>`;
  if (groups.length === 0) return html`<p>${heading}: none.</p>`;
  const tasks = groups.reduce((sum, group) => sum + group.tasks.length, 0);
  const left = groups.length - MOST;
  const more = left > 0 ? html`<p>and ${formatCount(left)} more stacks</p>` : undefined;
  const shown = groups.slice(0, MOST);
  return html`<details><summary><h3>${heading} (${formatCount(tasks)})</h3></summary>
${shown.map((group) => html`<p>${sentence(ownersText(group.tasks, false))}</p>${stackBlock(group)}`)}${more}
</details>`;
}

/** Messages at the end of the log. */
const LAST = 100;

/** The log before and after the lines that a finding is based on. */
function nearMessages(records: Records, lines: readonly LogEvidence[], code: string): Content {
  const near = messagesAround(records, new Set(lines.map(({ seq }) => seq)));
  if (near.length === 0) return undefined;
  return html`<details><summary>The log around ${code}</summary><pre>${near.map(nearMessage)}</pre></details>`;
}

function nearMessage({ record, asked, gap }: NearMessage): Content {
  const text = message(record);
  return html`${gap ? '…\n' : ''}${asked ? html`<mark>${text}</mark>` : text}`;
}

/** The end of the log. */
function lastMessages(records: Records | undefined): Content {
  if (records === undefined || records.length === 0) return html`<p>No messages.</p>`;
  const shown = records.slice(-LAST);
  return html`<details><summary>The last ${formatCount(shown.length)} of ${formatCount(records.length)} messages</summary><pre>${shown.map(message)}</pre></details>`;
}

/** Characters of one message: kernels write no longer ones, damage may. */
const MAX_TEXT = 2048;

function message({ timestamp, text, ...of }: LogRecord | TextRecord): Content {
  const time = logTime(timestamp, 'printedTime' in of ? of.printedTime : '');
  const shown = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
  return shown.split('\n').map((line) => html`${time} ${sentence(escapeLine(line))}\n`);
}
