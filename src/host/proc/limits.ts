import { isHostError } from '../error.js';
import type { HostSource } from '../source.js';

/** How much of TCP's and UDP's limits is used. Pages are truesize; null: not shown. */
export interface NetworkLimits {
  readonly orphans: Use | null;
  readonly timeWait: Use | null;
  /** Pages of memory charged to TCP, against tcp_mem's pressure mark and its end. */
  readonly tcpPages: (Use & { readonly pressure: number }) | null;
  readonly udpPages: (Use & { readonly pressure: number }) | null;
}

export interface Use {
  readonly used: number;
  readonly limit: number;
}

/** /proc/net/sockstat against net.ipv4.{tcp_max_orphans,tcp_max_tw_buckets,tcp_mem,udp_mem}. */
export function readNetworkLimits(source: HostSource): NetworkLimits {
  const sockstat = read(source, '/proc/net/sockstat');
  const figure = (line: string, name: string): number | null => {
    const text = new RegExp(`^${line}:.* ${name} (\\d{1,15})(?= |$)`, 'm').exec(sockstat)?.[1];
    return text === undefined ? null : Number(text);
  };
  const sysctl = (name: string) =>
    read(source, `/proc/sys/net/ipv4/${name}`)
      .trim()
      .split(/\s+/)
      .map((text) => (/^\d{1,15}$/.test(text) ? Number(text) : null));
  const use = (used: number | null, limit: number | null | undefined): Use | null =>
    used === null || limit === null || limit === undefined ? null : { used, limit };
  const pages = (line: string, name: string) => {
    const [, pressure, limit] = sysctl(name);
    const of = use(figure(line, 'mem'), limit);
    return of && pressure != null ? { ...of, pressure } : null;
  };
  return {
    orphans: use(figure('TCP', 'orphan'), sysctl('tcp_max_orphans')[0]),
    timeWait: use(figure('TCP', 'tw'), sysctl('tcp_max_tw_buckets')[0]),
    tcpPages: pages('TCP', 'tcp_mem'),
    udpPages: pages('UDP', 'udp_mem'),
  };
}

function read(source: HostSource, path: string): string {
  try {
    return source.readText(path);
  } catch (error) {
    if (isHostError(error)) return '';
    throw error;
  }
}
