import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { judgeIncidents, scoreTable } from '../../scripts/bench-parts/support/incidents.mjs';

/** Incidents that are judged wrong: one that becomes right is removed here, and none may be added silently. */
const NOT_RIGHT: Readonly<Record<string, string>> = {
  'edac-nvme': 'no owner',
  'hugetlb-inadequate-pool': 'no owner',
  'oom-arc-one-line': 'no owner',
  'oops-xen-mountpoint': 'no owner',
  'paste-arc-meminfo': 'no owner',
  'paste-meminfo-tmpfs': 'no owner',
  'paste-missing-memory': 'no owner',
  'pids-cut-prefix': 'no owner',
};

test('public incidents are judged as docs/internals/judgement.md says', async () => {
  const judged = await judgeIncidents();
  const notRight = judged.filter(({ outcome }) => outcome !== 'right').map(({ name, outcome }) => [name, outcome]);
  expect(Object.fromEntries(notRight)).toEqual(NOT_RIGHT);
  const page = readFileSync(fileURLToPath(new URL('../../docs/internals/judgement.md', import.meta.url)), 'utf8');
  for (const row of scoreTable(judged)) expect(page).toContain(`| ${row.join(' | ')} |`);
});
