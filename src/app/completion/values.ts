import { KdumpMemError } from '../../base/error.js';
import type { NativeKernel } from '../../kernel/native/kernel.js';
import type { SourceOptions } from '../kit/kernel-source.js';
import type { Candidate, ValueKind } from './suggest.js';

/** More words than these nobody reads. */
const MOST = 500;

/**
 * What a dump or this machine knows that begins with some letters. Where it cannot be opened there is nothing:
 * a command line is being typed, and no place for complaints.
 *
 * @param source null where it cannot be told
 */
export async function values(
  of: ValueKind,
  source: SourceOptions | null,
  typed: string,
): Promise<Candidate[]> {
  try {
    if (of === 'code') return await codes(typed);
    return source === null ? [] : await LOOKUPS[of](source, typed);
  } catch (error) {
    if (error instanceof KdumpMemError) return [];
    throw error;
  }
}

const LOOKUPS: Readonly<
  Record<Exclude<ValueKind, 'code'>, (source: SourceOptions, typed: string) => Promise<Candidate[]>>
> = {
  pid: async (source, typed) =>
    source.vmcore ? inKernel(source, (kernel) => tasks(kernel, typed)) : running(typed),
  type: (source, typed) => inKernel(source, (kernel) => named(kernel.types.names(), typed)),
  symbol: (source, typed) => inKernel(source, (kernel) => named(kernel.symbolNames(), typed)),
};

async function codes(typed: string): Promise<Candidate[]> {
  const { allCodes } = await import('../../answers/explain/codes.js');
  return named(allCodes(), typed);
}

async function inKernel(
  source: SourceOptions,
  look: (kernel: NativeKernel) => Candidate[] | Promise<Candidate[]>,
): Promise<Candidate[]> {
  const { openNativeSource } = await import('../kit/kernel-source.js');
  const kernel = await openNativeSource(source);
  try {
    return await look(kernel);
  } finally {
    kernel.close();
  }
}

/** Processes of a dump, kernel threads left out: they have no sockets and no memory. */
async function tasks(kernel: NativeKernel, typed: string): Promise<Candidate[]> {
  const { taskTable } = await import('../../walk/tasks/task-table.js');
  const found: Candidate[] = [];
  for (const { pid, comm, kernelThread } of taskTable(kernel).processes) {
    if (found.length >= MOST) break;
    if (!kernelThread && `${pid}`.startsWith(typed))
      found.push({ value: `${pid}`, description: comm });
  }
  return found;
}

/** Processes that run here. */
async function running(typed: string): Promise<Candidate[]> {
  const { liveHost } = await import('../../host/live.js');
  const { listedPids } = await import('../../host/proc/pids.js');
  const { optionalText } = await import('../../host/proc/process.js');
  return listedPids(liveHost)
    .filter((name) => name.startsWith(typed))
    .slice(0, MOST)
    .map((pid) => ({
      value: pid,
      description: optionalText(liveHost, `/proc/${pid}/comm`).trim(),
    }));
}

/** A dump's names are hostile: what is no word of C, with what the kernel adds, is not offered. */
const WORD = /^[\w.$@-]{1,128}$/;

function named(names: Iterable<string>, typed: string): Candidate[] {
  const found = new Set<string>();
  for (const name of names) {
    if (found.size >= MOST) break;
    if (name.startsWith(typed) && WORD.test(name)) found.add(name);
  }
  return [...found].toSorted().map((value) => ({ value, description: '' }));
}
