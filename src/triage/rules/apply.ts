import type { Adjusted, RulesOutcome, Undecided } from '../../contracts/triage.js';
import { bySeverity, type Finding, type RuleCode } from '../finding.js';
import type { Figures } from '../findings/declared.js';
import { evidenceOf } from '../log/lines.js';
import { matchOf } from './conditions.js';
import { type AskStacks, type RuleBasis, RuleFacts } from './facts.js';
import { all, any, isMeant, type Match, met, NOT_MET, not, unknown } from './match.js';
import type { Pattern } from './pattern.js';
import type { Adjustment, Condition, Rule, Rules } from './schema.js';

/** An answer with the findings of a team's rules, and without silenced ones. */
export function withRules<A extends RuleBasis>(
  answer: A,
  rules: Rules,
  ask: AskStacks,
): A & { readonly findings: readonly Finding[]; readonly rules: RulesOutcome } {
  const facts = new RuleFacts(answer, ask);
  const findings: Finding[] = [];
  const unknown: Undecided[] = [];
  let count = 0;
  for (const rule of rules.rules) {
    const verdict = verdicts(rule, facts);
    for (const match of verdict) if (match.met === true) findings.push(findingOf(rule, match));
    if (verdict.some(({ met }) => met === true)) count++;
    for (const match of verdict)
      if (match.met === 'unknown') {
        const { reason, why } = match;
        unknown.push({ code: rule.code, reason, why });
      }
  }
  const { kept, silenced, changed, unsure } = adjusted([...findings, ...answer.findings], rules.adjust);
  return {
    ...answer,
    findings: bySeverity(kept),
    rules: { rules: rules.rules.length, matched: count, unknown: distinct([...unknown, ...unsure]), silenced, changed },
  };
}

/** Matches of a rule: one for each distinct set of captures in the log. */
function verdicts({ when }: Rule, facts: RuleFacts): Match[] {
  const { any: some, not: none, log, ...rest } = when;
  const parts = function* () {
    yield matchOf(rest, facts);
    if (some) yield any(some.map((condition) => whole(condition, facts)));
    if (none) yield not(whole(none, facts));
  };
  // Conditions that are decided without the log need no pass over it.
  const others = all(parts());
  if (log === undefined || others.met === false) return [others];
  return linesLike(log, facts).map((line) => all([others, line]));
}

function whole({ log, ...rest }: Condition, facts: RuleFacts): Match {
  const others = matchOf(rest, facts);
  if (log === undefined || others.met === false) return others;
  return all([others, any(linesLike(log, facts))]);
}

function findingOf(
  { code, severity, message, advice, next, causes }: Rule,
  { figures, evidence }: Extract<Match, { met: true }>,
): Finding {
  return {
    // The schema requires the slash.
    code: code as RuleCode,
    severity,
    figures,
    evidence,
    rule: { message, advice, causes },
    ...(next === undefined ? {} : { next }),
  };
}

function adjusted(findings: readonly Finding[], adjust: readonly Adjustment[]) {
  const kept: Finding[] = [];
  const [silenced, changed]: [Adjusted[], Adjusted[]] = [[], []];
  const unsure: Undecided[] = [];
  for (const finding of findings) {
    const known = adjust.find((adjustment) => {
      if (adjustment.finding !== finding.code) return false;
      const is = isMeant(finding, adjustment.where ?? {}, 'all');
      if (is === 'unknown') unsure.push({ code: finding.code, reason: 'figures-unknown', why: UNSURE });
      return is === true;
    });
    if (!known || known.severity === finding.severity) kept.push(finding);
    else if (known.severity === 'silent') note(silenced, finding, known);
    else {
      kept.push({ ...finding, severity: known.severity });
      note(changed, finding, known);
    }
  }
  return { kept, silenced, changed, unsure };
}

const UNSURE = 'an adjustment tests figures that are unknown for some of its findings';

function note(list: Adjusted[], { code, severity, figures }: Finding, { severity: to, because }: Adjustment) {
  const others = typeof figures.others === 'number' ? figures.others : 0;
  const same = list.findIndex((known) => known.code === code && known.from === severity && known.because === because);
  const before = list[same];
  const findings = (before?.findings ?? 0) + 1 + others;
  const entry = { code, from: severity, to, findings, because };
  if (before) list[same] = entry;
  else list.push(entry);
}

/** Without duplicates. */
function distinct(list: readonly Undecided[]): Undecided[] {
  return [...new Map(list.map((entry) => [JSON.stringify(entry), entry])).values()];
}

/** Maximum number of distinct captures of one rule's pattern. */
const MAX_DIFFERENT = 50;
/** Maximum number of lines of a finding: the first one, and the last ones. */
const MAX_EVIDENCE = 4;

interface Group {
  readonly captures: Figures;
  readonly evidence: ReturnType<typeof evidenceOf>[];
  times: number;
}

/**
 * One match for each distinct set of captures. If no line matches: not met, or unknown if lines may be
 * missing.
 */
function linesLike(pattern: Pattern, facts: RuleFacts): Match[] {
  const groups = new Map<string, Group>();
  let others = 0;
  for (const line of facts.lines) {
    const captures = pattern.match(line.text);
    if (!captures) continue;
    const key = JSON.stringify(captures);
    let group = groups.get(key);
    if (!group) {
      if (groups.size >= MAX_DIFFERENT) {
        others++;
        continue;
      }
      group = { captures, evidence: [], times: 0 };
      groups.set(key, group);
    }
    group.times++;
    group.evidence.push(evidenceOf(line));
    if (group.evidence.length > MAX_EVIDENCE) group.evidence.splice(1, 1);
  }
  const list = [...groups.values()];
  if (list.length > 0)
    return list.map(({ captures, evidence, times }, index) => {
      const more = others > 0 && index === list.length - 1 ? { others } : {};
      return met({ ...captures, logTimes: times, ...more }, evidence);
    });
  const { logLacks } = facts;
  return [logLacks === undefined ? NOT_MET : unknown('log-incomplete', logLacks)];
}
