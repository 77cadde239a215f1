import type { StackGroup } from '../../../account/task-stacks.js';
import type { TriageDetail } from '../../../triage/detail.js';
import { type Content, html, sentence } from '../../html/html.js';
import { framesText, ownersText } from '../../task-stacks/text.js';
import { formatCount } from '../../text/size.js';

/** Stacks, so that a page of the largest machine is one that a browser shows at once. */
const MOST = 100;

/** The functions of a stack, one a line. */
export function stackBlock(stack: Pick<StackGroup, 'frames' | 'end' | 'why'>): Content {
  // Every line is indented for a terminal.
  const lines = framesText(stack, false).map((line) => line.slice(2));
  return html`<pre>${sentence(lines.join('\n'))}</pre>`;
}

export function runningStacks({ running }: TriageDetail): Content {
  return list('What the CPUs ran', running);
}

export function blockedStacks({ blocked }: TriageDetail): Content {
  return list('Tasks that wait and cannot be interrupted', blocked);
}

function list(heading: string, groups: readonly StackGroup[] | undefined): Content {
  if (groups === undefined)
    return html`<p>${heading}: not known; what is missing stands above.</p>`;
  if (groups.length === 0) return html`<p>${heading}: none.</p>`;
  const tasks = groups.reduce((sum, group) => sum + group.tasks.length, 0);
  const left = groups.length - MOST;
  const more = left > 0 ? html`<p>and ${formatCount(left)} more stacks</p>` : undefined;
  const shown = groups.slice(0, MOST);
  return html`<details><summary><h3>${heading} (${formatCount(tasks)})</h3></summary>
${shown.map((group) => html`<p>${sentence(ownersText(group.tasks, false))}</p>${stackBlock(group)}`)}${more}
</details>`;
}
