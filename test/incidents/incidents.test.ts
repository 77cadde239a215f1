import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { judgeIncidents, scoreTable } from '../../scripts/bench-parts/support/incidents.mjs';

/** Incidents that are judged wrong: one that becomes right is removed here, and none may be added silently. */
const NOT_RIGHT: Readonly<Record<string, string>> = {
  'balloon-hot-add': 'silent',
  'cgroup-vmware-log': 'refused',
  'coherent-pool-imx6': 'silent',
  'df-run-openbmc': 'refused',
  'gpu-amdgpu-drm-prefix': 'silent',
  'gpu-without-xid': 'silent',
  'hugetlb-inadequate-pool': 'no owner',
  'killer-nohang-file': 'silent',
  'lockup-power9': 'silent',
  'netstat-vrrp': 'refused',
  'oom-arc-one-line': 'wrong',
  'oom-hyperv-minikube': 'no owner',
  'oom-openvz-container': 'silent',
  'oops-loongson-module': 'no owner',
  'paste-arc-meminfo': 'no owner',
  'paste-df-shm': 'refused',
  'paste-meminfo-tmpfs': 'no owner',
  'paste-memory-stat-slab': 'silent',
  'paste-missing-memory': 'no owner',
  'paste-netstat-raw': 'refused',
  'paste-netstat-sip': 'refused',
  'paste-shmem-qubes': 'silent',
  'pids-cut-prefix': 'no owner',
  'vmalloc-kylin': 'no owner',
};

test('public incidents are judged as docs/internals/judgement.md says', { timeout: 120_000 }, async () => {
  const judged = await judgeIncidents();
  const notRight = judged.filter(({ outcome }) => outcome !== 'right').map(({ name, outcome }) => [name, outcome]);
  expect(Object.fromEntries(notRight)).toEqual(NOT_RIGHT);
  const page = readFileSync(fileURLToPath(new URL('../../docs/internals/judgement.md', import.meta.url)), 'utf8');
  for (const row of scoreTable(judged)) expect(page).toContain(`| ${row.join(' | ')} |`);
});
