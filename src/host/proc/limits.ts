import { isHostError } from '../../base/errors/host.js';
import type { HostSource } from '../host-source.js';
import type { Namespace } from '../namespaces.js';
import { readNetTable } from '../procnet/table.js';

/** How much of TCP's and UDP's limits is used. Pages are truesize; null: not shown. */
export interface NetworkLimits {
  /** Of the whole machine, as are the pages: net.ipv4.tcp_max_orphans. */
  readonly orphans: Use | null;
  /** Of each network namespace that tells: net.ipv4.tcp_max_tw_buckets is one of each. */
  readonly timeWait: readonly NamespaceUse[];
  /** Pages of memory charged to TCP, against tcp_mem's pressure mark and its end. */
  readonly tcpPages: (Use & { readonly pressure: number }) | null;
  readonly udpPages: (Use & { readonly pressure: number }) | null;
}

export interface Use {
  readonly used: number;
  readonly limit: number;
}

export interface NamespaceUse extends Use {
  readonly netns: Namespace;
}

const SOCKSTAT = '/proc/net/sockstat';
const SYSCTL = '/proc/sys/net/ipv4';

/** In another namespace fewer are nobody's trouble, and not worth the process that asks for its limit. */
const FEWEST_TIME_WAIT = 100;

/**
 * /proc/net/sockstat against net.ipv4.{tcp_max_orphans,tcp_max_tw_buckets,tcp_mem,udp_mem}.
 *
 * In sockstat (net/ipv4/proc.c) `orphan` and `mem` are the machine's, whichever namespace shows them, and
 * `tw` is the namespace's. The limits of the former are in the first namespace only (ipv4_table of
 * net/ipv4/sysctl_net_ipv4.c); in another one of our own they are not known.
 */
export function readNetworkLimits(
  source: HostSource,
  namespaces: readonly Namespace[],
): NetworkLimits {
  const sockstat = textIfShown(() => source.readText(SOCKSTAT));
  const sysctl = (name: string) => numbers(textIfShown(() => source.readText(`${SYSCTL}/${name}`)));
  const pages = (line: string, name: string) => {
    const [, pressure, limit] = sysctl(name);
    const of = use(figure(sockstat, line, 'mem'), limit);
    return of && pressure != null ? { ...of, pressure } : null;
  };
  return {
    orphans: use(figure(sockstat, 'TCP', 'orphan'), sysctl('tcp_max_orphans')[0]),
    timeWait: namespaces.flatMap((netns) => {
      const of = timeWaitOf(source, netns);
      return of ? [{ ...of, netns }] : [];
    }),
    tcpPages: pages('TCP', 'tcp_mem'),
    udpPages: pages('UDP', 'udp_mem'),
  };
}

function timeWaitOf(source: HostSource, namespace: Namespace): Use | null {
  const { own, path } = namespace;
  const limit = `${SYSCTL}/tcp_max_tw_buckets`;
  if (own)
    return use(
      figure(
        textIfShown(() => source.readText(SOCKSTAT)),
        'TCP',
        'tw',
      ),
      numbers(textIfShown(() => source.readText(limit)))[0],
    );
  const sockstat = textIfShown(() => readNetTable(source, namespace, 'sockstat'));
  const used = figure(sockstat, 'TCP', 'tw');
  if (used === null || used < FEWEST_TIME_WAIT) return null;
  // /proc/sys shows the namespace of who reads it, so that one has to be entered.
  return use(used, numbers(textIfShown(() => source.readTextIn(path, limit)))[0]);
}

function figure(sockstat: string, line: string, name: string): number | null {
  const text = new RegExp(`^${line}:.* ${name} (\\d{1,15})(?= |$)`, 'm').exec(sockstat)?.[1];
  return text === undefined ? null : Number(text);
}

function numbers(text: string): (number | null)[] {
  return text
    .trim()
    .split(/\s+/)
    .map((word) => (/^\d{1,15}$/.test(word) ? Number(word) : null));
}

function use(used: number | null, limit: number | null | undefined): Use | null {
  return used === null || limit === null || limit === undefined ? null : { used, limit };
}

/** No text, where it is not shown. */
function textIfShown(read: () => string): string {
  try {
    return read();
  } catch (error) {
    if (isHostError(error)) return '';
    throw error;
  }
}
