import type { Namespace } from '../../host/namespaces.js';
import type { NetworkLimits, Use } from '../../host/proc/limits.js';
import { escapeText } from '../text/escape.js';
import { formatCount } from '../text/size.js';
import type { SkcheckWarning } from './schema.js';

/** From this share of a limit on it is worth a word. */
const NEAR = 0.8;

/** Limits of the host's network stack that are near, or passed; of our own namespace unless one is named. */
export function hostWarnings(limits: NetworkLimits): SkcheckWarning[] {
  const warnings: SkcheckWarning[] = [];
  const near = (
    code: SkcheckWarning['code'],
    use: Use | null,
    words: (used: string, limit: string) => string,
  ) => {
    if (use && use.limit > 0 && use.used >= NEAR * use.limit)
      warnings.push({
        code,
        count: use.used,
        message: words(formatCount(use.used), formatCount(use.limit)),
      });
  };
  near(
    'tcp-orphans',
    limits.orphans,
    (used, limit) =>
      `${used} orphaned TCP ${used === '1' ? 'socket' : 'sockets'}, near or over tcp_max_orphans (${limit})`,
  );
  for (const use of limits.timeWait)
    near(
      'time-wait',
      use,
      (used, limit) =>
        `${used} TCP sockets in TIME-WAIT${namespaceWords(use.netns)}, near or over tcp_max_tw_buckets (${limit})`,
    );
  for (const [code, name, pages] of [
    ['tcp-memory', 'tcp', limits.tcpPages],
    ['udp-memory', 'udp', limits.udpPages],
  ] as const) {
    const mark = pages && Math.min(pages.pressure, NEAR * pages.limit);
    if (pages && mark !== null && pages.used >= mark)
      warnings.push({
        code,
        count: pages.used,
        message: `${formatCount(pages.used)} pages charged to ${name.toUpperCase()}: ${
          pages.used >= pages.limit
            ? `over the limit of ${name}_mem (${formatCount(pages.limit)}), packets are dropped`
            : `under memory pressure from ${formatCount(pages.pressure)} on, limit ${formatCount(pages.limit)} (${name}_mem)`
        }`,
      });
  }
  return warnings;
}

function namespaceWords({ own, name, inode, pid }: Namespace): string {
  if (own) return '';
  const where = name === null ? `${inode}${pid === null ? '' : ` (of pid ${pid})`}` : name;
  return ` in network namespace ${escapeText(where)}`;
}
