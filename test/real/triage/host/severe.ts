import type { TriageJson } from '../../../../src/contracts/triage.js';

/** No namespace has a log, a pressure and free memory of its own: other programs of the machine change these findings. */
const OF_MACHINE = ['memory-pressure', 'low-memory', 'low-available', 'fragmentation', 'unattributed-memory'];

/** Codes of the severe findings that depend on what runs in these namespaces alone. */
export function severeCodes({ findings }: Pick<TriageJson, 'findings'>): string[] {
  return findings
    .filter(({ severity, evidence }) => severity !== 'note' && !evidence.some(({ kind }) => kind === 'log'))
    .map(({ code }) => code)
    .filter((code) => !OF_MACHINE.includes(code));
}
