import type { CapturedTriage } from '../../triage/captured.js';
import { capturedJson, capturedWords } from '../captured.js';
import { headline } from '../memory/headline.js';
import { wrap } from '../text/cut.js';
import { escapeText } from '../text/escape.js';
import type { HostTriageJson } from './captured-schema.js';
import { categoriesJson, findingJson } from './json.js';
import { findingLines, severeWords, type TriageTextOptions } from './text.js';

export function hostTriageJson(answer: CapturedTriage): HostTriageJson {
  const { captured, release, findings, overwritten, memory, complete, warnings } = answer;
  return {
    schema: 'kdump-mem.host-triage/1',
    captured: capturedJson(captured),
    release: release === '' ? null : release,
    findings: findings.map(findingJson),
    overwritten,
    memory: memory ? categoriesJson(memory) : null,
    complete,
    warnings: [...warnings],
  };
}

/** Summary, findings, memory. */
export function hostTriageText(answer: CapturedTriage, options: TriageTextOptions): string {
  const { findings, memory, overwritten } = answer;
  const { width, source } = options;
  const said = (text: string): string[] => [...wrap(text, width), ''];
  const lines = said(summary(answer));
  for (const finding of findings) lines.push(...findingLines(finding, options), '');
  if (memory) lines.push(...said(`Memory: ${headline(memory)}`));
  if (overwritten)
    lines.push(
      ...said(`The kernel log is incomplete: its oldest ${overwritten} messages were overwritten.`),
    );
  lines.push(
    ...said(
      'Findings of a snapshot come from its log and memory counters. skcheck shows its stalled sockets.',
    ),
  );
  lines.push(`Next: skcheck ${source}`);
  return lines.join('\n');
}

function summary({ captured, release, findings, complete }: CapturedTriage): string {
  const found =
    severeWords(findings, complete) ??
    (complete
      ? 'No problems found in its log and counters.'
      : 'No findings, but some checks could not be completed.');
  const linux = release === '' ? 'Linux' : `Linux ${escapeText(release)}`;
  return `${linux}, ${capturedWords(captured)}. ${found}`;
}
