import type { Figure } from '../finding.js';
import { evidenceOf } from '../log/lines.js';
import type { RuleFacts } from './facts.js';
import type { Pattern } from './pattern.js';
import { met, NOT_MET, type Told, unknown } from './told.js';

/** Different captures of one rule's pattern: so many are told apart. */
const MOST_DIFFERENT = 50;
/** Lines that a finding shows: the first, and the last ones. */
const MOST_EVIDENCE = 4;

interface Group {
  readonly captures: Readonly<Record<string, Figure>>;
  readonly evidence: ReturnType<typeof evidenceOf>[];
  times: number;
}

/** Lines that a pattern matches, by what it captures; none: one that says whether there may have been any. */
export function linesLike(pattern: Pattern, facts: RuleFacts): Told[] {
  const groups = new Map<string, Group>();
  let others = 0;
  for (const line of facts.lines) {
    const captures = pattern.match(line.text);
    if (!captures) continue;
    const key = JSON.stringify(captures);
    let group = groups.get(key);
    if (!group) {
      if (groups.size >= MOST_DIFFERENT) {
        others++;
        continue;
      }
      group = { captures, evidence: [], times: 0 };
      groups.set(key, group);
    }
    group.times++;
    group.evidence.push(evidenceOf(line));
    if (group.evidence.length > MOST_EVIDENCE) group.evidence.splice(1, 1);
  }
  const list = [...groups.values()];
  if (list.length > 0)
    return list.map(({ captures, evidence, times }, index) => {
      const more = others > 0 && index === list.length - 1 ? { others } : {};
      return met({ ...captures, logTimes: times, ...more }, evidence);
    });
  const { logLacks } = facts;
  return [logLacks === undefined ? NOT_MET : unknown('log-not-whole', logLacks)];
}
