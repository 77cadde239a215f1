import type { Finding } from '../../triage/finding.js';

/** A finding, and others that differ from it by their socket alone. */
export interface Alike {
  readonly finding: Finding;
  readonly others: readonly Finding[];
}

/** Sockets that a process does not read are one piece of news, however many they are; in the order of the first of each. */
export function alike(findings: readonly Finding[]): Alike[] {
  const groups = new Map<Finding | string, [Finding, ...Finding[]]>();
  for (const finding of findings) {
    const key = keyOf(finding);
    const group = groups.get(key);
    if (group) group.push(finding);
    else groups.set(key, [finding]);
  }
  return [...groups.values()].map(([finding, ...others]) => ({ finding, others }));
}

function keyOf(finding: Finding): Finding | string {
  const { code, severity, figures } = finding;
  // One that stands for others is none of many.
  if (code !== 'stalled-reader' || typeof figures.others === 'number' || figures.pid === null)
    return finding;
  const { pid, doing, symbol } = figures;
  return JSON.stringify([code, severity, pid, doing, symbol]);
}
