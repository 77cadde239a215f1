import type { HostSource } from '../host-source.js';
import type { Namespace } from '../namespaces.js';

/**
 * A file of /proc/net as it reads in a network namespace: through a process that lives in it, else from
 * the inside, which takes a process of our own. Throws `HostError`.
 */
export function readNetTable(source: HostSource, { pid, path }: Namespace, name: string): string {
  return pid === null
    ? source.readTextIn(path, `/proc/net/${name}`)
    : source.readText(`/proc/${pid}/net/${name}`);
}
