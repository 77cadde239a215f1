import { expect, test } from 'vitest';
import { hostWarnings } from '../../../src/answers/skcheck/warnings.js';
import { findNamespaces } from '../../../src/host/namespaces.js';
import { readNetworkLimits } from '../../../src/host/proc/net-tables.js';
import { FakeHost } from '../../host/fake-host.js';

/** Kernel counters of a busy host, with the given figures. */
function warnings(of: { orphans?: number; timeWait?: number; tcp?: number; udp?: number }) {
  const host = new FakeHost();
  const { orphans = 3, timeWait = 10, tcp = 771, udp = 38 } = of;
  host.files.set(
    '/proc/net/sockstat',
    [
      'sockets: used 50037',
      `TCP: inuse 50006 orphan ${orphans} tw ${timeWait} alloc 50006 mem ${tcp}`,
      `UDP: inuse 7 mem ${udp}`,
      'UDPLITE: inuse 0',
      'RAW: inuse 0',
      'FRAG: inuse 0 memory 0',
      '',
    ].join('\n'),
  );
  const sysctl = (name: string, text: string) => host.files.set(`/proc/sys/net/ipv4/${name}`, `${text}\n`);
  sysctl('tcp_max_orphans', '1000');
  sysctl('tcp_max_tw_buckets', '1000');
  sysctl('tcp_mem', '9531\t12711\t19062');
  sysctl('udp_mem', '19065\t25423\t38130');
  return hostWarnings(readNetworkLimits(host, findNamespaces(host, 'own')));
}

test('a host far from its limits has no warnings', () => {
  expect(warnings({})).toEqual([]);
  expect(warnings({ orphans: 799, timeWait: 799, tcp: 12_710, udp: 25_422 })).toEqual([]);
});

test.each([
  [{ orphans: 800 }, 'tcp-orphans', '800 orphaned TCP sockets, near or over tcp_max_orphans (1,000)'],
  [{ timeWait: 1000 }, 'time-wait', '1,000 TCP sockets in TIME-WAIT, near or over tcp_max_tw_buckets (1,000)'],
  [
    { tcp: 12_711 },
    'tcp-memory',
    '12,711 pages charged to TCP: under memory pressure from 12,711 on, limit 19,062 (tcp_mem)',
  ],
  [
    { tcp: 19_062 },
    'tcp-memory',
    '19,062 pages charged to TCP: over the limit of tcp_mem (19,062), packets are dropped',
  ],
  [
    { udp: 25_423 },
    'udp-memory',
    '25,423 pages charged to UDP: under memory pressure from 25,423 on, limit 38,130 (udp_mem)',
  ],
] as const)('warns with %j: %s', (figures, code, message) => {
  const [[, count]] = Object.entries(figures) as [[string, number]];
  expect(warnings(figures)).toEqual([{ code, count, message }]);
});

test('does not warn about limits that the kernel does not report', () => {
  const host = new FakeHost();
  expect(hostWarnings(readNetworkLimits(host, findNamespaces(host, 'own')))).toEqual([]);
});
