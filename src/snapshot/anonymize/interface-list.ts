import { isHostError } from '../../host/error.js';
import { findNamespaces } from '../../host/namespaces.js';
import type { SnapshotSource } from '../source.js';
import { SMALL_FILE } from '../work.js';

/** The names of the network devices of all namespaces that a process lives in, as /proc/PID/net/dev has them. */
export function interfaceList(source: SnapshotSource): Buffer[] {
  const names = new Set<string>();
  for (const { pid } of findNamespaces(source, 'all')) {
    if (pid === null) continue;
    try {
      const text = source.read(`/proc/${pid}/net/dev`, SMALL_FILE).bytes.toString('latin1');
      for (const [, name = ''] of text.matchAll(/^ *([^\s:|]+):/gm)) names.add(name);
    } catch (error) {
      if (!isHostError(error)) throw error;
    }
  }
  return [...names].map((name) => Buffer.from(name, 'latin1'));
}
