import type { TriageDetail } from '../../../triage/detail.js';
import type { TriageAnswer } from '../../../triage/triage.js';
import { isNote } from '../../../walk/warnings.js';
import { type Content, html, sentence } from '../../html/html.js';
import { missingSection } from '../../html/missing.js';
import { type PageFacts, pageHtml } from '../../html/page.js';
import type { Treemap } from '../../html/treemap.js';
import { headline } from '../../memory/headline.js';
import { details } from '../../memory/html/details.js';
import { drawersTable } from '../../memory/html/drawers.js';
import { drawnToScale } from '../../memory/html/maps.js';
import { formatCount } from '../../text/size.js';
import { rulesLines } from '../rules-words.js';
import { lostLines, summary } from '../text.js';
import { findingWords } from '../words.js';
import { findingSection } from './finding.js';
import { lastMessages } from './log.js';
import { blockedStacks, runningStacks } from './stacks.js';
import { TRIAGE_STYLE } from './style.js';

/** What a kernel is called before anybody names it. */
const UNNAMED = '(none)';

/** The answer to `triage` as one file: what matters first, for who decides; all that it rests on, for who digs. */
export function triageHtml(
  answer: TriageAnswer,
  detail: TriageDetail,
  { source, version, made }: PageFacts,
): string {
  const { kernel, machine, memory } = answer;
  const map = memory && drawnToScale(memory);
  const body = html`<p class="headline">${sentence(summary(answer))}</p>
${missing(answer, detail)}
${rules(answer)}
<h2>Findings</h2>
${findingsSection(answer, source)}
<h2>Memory</h2>
${memorySection(answer, map)}
<h2>Stacks</h2>
${runningStacks(detail)}
${blockedStacks(detail)}
<h2>Log</h2>
${lastMessages(answer.log?.records)}`;
  const about = html`<p>kdump-mem ${version}, ${made.toISOString().replace(/\.\d+/, '')}. Kernel ${
    kernel.release
  }: <code>${sentence(source)}</code>.</p>`;
  const name = machine.uts?.nodename;
  return pageHtml({
    title: `What is the matter${name && name !== UNNAMED ? ` with ${name}` : ''}`,
    style: `${TRIAGE_STYLE}${map?.style ?? ''}`,
    ...{ body, about },
  });
}

/** Findings that are told whole, and of those the ones with the log around them: a hostile log has any number. */
const MOST_WHOLE = 100;
const MOST_WITH_LOG = 30;
/** Others, in their sentence. */
const MOST_SAID = 1000;

function findingsSection({ findings, log }: TriageAnswer, source: string): Content {
  if (findings.length === 0) return html`<p>None.</p>`;
  const whole = findings.slice(0, MOST_WHOLE).map((finding, index) => {
    const records = index < MOST_WITH_LOG ? (log?.records ?? []) : [];
    return findingSection(finding, { index, records, source });
  });
  const others = findings.slice(MOST_WHOLE);
  const without =
    findings.length > MOST_WITH_LOG
      ? html`<p class="faint">The log around a finding is shown for the first ${MOST_WITH_LOG}.</p>`
      : undefined;
  if (others.length === 0) return [without, ...whole];
  const said = others
    .slice(0, MOST_SAID)
    .map(
      (finding) =>
        html`<li>${finding.severity} ${finding.code}: ${sentence(findingWords(finding))}</li>\n`,
    );
  const left = others.length - said.length;
  const more = left > 0 ? html`<p>and ${formatCount(left)} more</p>` : undefined;
  return html`${without}${whole}<details><summary><h3>${formatCount(others.length)} more findings, none more severe</h3></summary>
<ul>${said}</ul>${more}
</details>`;
}

function missing(answer: TriageAnswer, { warnings }: TriageDetail): Content {
  const said = new Set([...answer.warnings, ...warnings].map(({ message }) => message));
  return missingSection(answer.complete && warnings.every(isNote), [...lostLines(answer), ...said]);
}

function rules({ rules: outcome }: TriageAnswer): Content {
  if (!outcome) return undefined;
  const lines = rulesLines(outcome).map((line) => html`<li>${sentence(line)}</li>\n`);
  return html`<h2>Rules of your own</h2>
<ul>${lines}</ul>`;
}

function memorySection({ memory }: TriageAnswer, map: Treemap | undefined): Content {
  if (!memory || !map) return html`<p>It could not be counted: what is missing stands above.</p>`;
  return html`<p>${sentence(headline(memory))}</p>
<p><a class="skip" href="#drawers">Go to the table of drawers</a></p>
${map.markup}
<details open><summary><h3>Drawers, with their owners</h3></summary>
${drawersTable(memory)}
</details>
${details(memory, 'h3')}`;
}
