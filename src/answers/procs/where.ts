import type { ProcessIdentity } from '../../records/processes.js';
import { escapeText } from '../text/escape.js';

/** Pod, container or cgroup, and its pid there. */
export function whereOf({ cgroup, nsPids }: Pick<ProcessIdentity, 'cgroup' | 'nsPids'>): string {
  const own = nsPids.length > 1 ? ` pid ${nsPids.at(-1)} inside` : '';
  if (cgroup?.pod) return `pod ${escapeText(cgroup.pod)}${own}`;
  if (cgroup?.container) return `container ${escapeText(cgroup.container.slice(0, 12))}${own}`;
  return `${cgroup === null || cgroup.path === '/' ? '' : escapeText(cgroup.path)}${own}`.trim();
}
