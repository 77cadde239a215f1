import { HostError, hostOrNull } from '../../base/errors.js';
import type { NamedMemory } from '../../records/named-memory.js';
import type { HostSource } from '../host-source.js';

const TRACING = '/sys/kernel/tracing';
const MAX_INSTANCES = 256;

/**
 * Buffers of ftrace: of the machine, and of each instance. `buffer_total_size_kb` sums up all CPUs; `(expanded: KIB)` follows
 * where nothing was traced yet (tracing_total_entries_read, kernel/trace/trace.c). Rings of perf and io_uring, and snapshot
 * buffers, have no such file.
 *
 * @param least smaller buffers are left out
 * @throws {HostError} a file is unreadable or malformed
 */
export function readTraceRings(source: HostSource, least: number): NamedMemory[] {
  const instances = hostOrNull(() => source.list(`${TRACING}/instances`)) ?? [];
  const folders = ['', ...instances.slice(0, MAX_INSTANCES).map((name) => `/instances/${name}`)];
  const all = folders.flatMap((folder): NamedMemory[] => {
    const path = `${TRACING}${folder}/buffer_total_size_kb`;
    const kib = /^(\d{1,12})(?: \(expanded: \d{1,12}\))?\s*$/.exec(readOr(source, path))?.[1];
    if (kib === undefined) return [];
    const name = folder === '' ? 'ftrace' : `ftrace instance ${folder.slice('/instances/'.length)}`;
    const bytes = Number(kib) * 1024;
    return [{ kind: 'trace-rings', name, category: 'rings', bytes, source: path, figures: {} }];
  });
  return all.filter(({ bytes }) => (bytes ?? 0) >= least).toSorted((a, b) => (b.bytes ?? 0) - (a.bytes ?? 0));
}

/** The text; empty: tracefs is not mounted, or the instance was removed. @throws {HostError} */
function readOr(source: HostSource, path: string): string {
  try {
    const text = source.readText(path);
    if (/^\d/.test(text)) return text;
    throw new HostError('unreadable', `malformed ${path}`);
  } catch (error) {
    if (error instanceof HostError && error.code === 'gone') return '';
    throw error;
  }
}
