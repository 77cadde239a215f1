import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { judgeIncidents, scoreTable } from '../../scripts/bench-parts/support/incidents.mjs';

/** Incidents that are judged wrong: one that becomes right is removed here, and none may be added silently. */
const NOT_RIGHT: Readonly<Record<string, string>> = {
  'alloc-dma32-riscv': 'no owner',
  'alloc-mixed-mt7621': 'silent',
  'alloc-wsl-ring': 'no owner',
  'audit-backlog-osquery': 'silent',
  'bad-page-pfring': 'no owner',
  'cma-vc4': 'silent',
  'gpu-xid': 'silent',
  'hugetlb-inadequate-pool': 'silent',
  'killer-earlyoom-java': 'refused',
  'killer-kubelet-impossible': 'refused',
  'killer-lmkd': 'refused',
  'killer-oomd-pressure': 'refused',
  'lockup-nested-guest': 'no owner',
  'oom-arc-one-line': 'wrong',
  'oom-gpu-gtt': 'wrong',
  'oom-lowmem-squid': 'wrong',
  'paste-arc-meminfo': 'false cause',
  'paste-balloon-guest': 'wrong',
  'paste-dentry-druid': 'silent',
  'paste-meminfo-tmpfs': 'silent',
  'paste-memory-stat-slab': 'refused',
  'paste-missing-memory': 'no owner',
  'paste-netstat-raw': 'refused',
  'pids-suse': 'silent',
  'pool-openwrt': 'silent',
  'serror-ahci': 'no owner',
  'slub-cgroup-kmem': 'no owner',
  'spl-allocation-deadlock': 'silent',
  'swiotlb-rtl8192ee': 'silent',
  'vmalloc-module-arm': 'no owner',
};

test('public incidents are judged as docs/internals/judgement.md says', { timeout: 120_000 }, async () => {
  const judged = await judgeIncidents();
  const notRight = judged
    .filter(({ outcome, isHeldOut }) => outcome !== 'right' && !isHeldOut)
    .map(({ name, outcome }) => [name, outcome]);
  expect(Object.fromEntries(notRight)).toEqual(NOT_RIGHT);
  const page = readFileSync(fileURLToPath(new URL('../../docs/internals/judgement.md', import.meta.url)), 'utf8');
  for (const row of scoreTable(judged)) expect(page).toContain(`| ${row.join(' | ')} |`);
});
