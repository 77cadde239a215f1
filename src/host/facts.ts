import { HostError } from '../base/errors.js';
import type { HostSource } from './host-source.js';
import type { Namespace } from './namespaces.js';
import { readMaxSkbFrags, readUnplacedMemory } from './proc/memory.js';
import { type NetworkLimits, readNetworkLimits } from './proc/net-tables.js';

/** Properties of the whole host. */
export interface HostFacts {
  readonly name: string;
  readonly release: string;
  /** The inode of our own network namespace, null if not available. */
  readonly netns: number | null;
  /** Bytes: see `readUnplacedMemory`. */
  readonly unplacedMemory: number;
  /** Whether it was counted page by page (`takeCensus`): otherwise it varies with free memory. */
  readonly unplacedIsCounted: boolean;
  readonly maxSkbFrags: number;
  readonly limits: NetworkLimits;
}

/** Throws `unreadable` if /proc/meminfo lacks the amount of memory. */
export function readHostFacts(source: HostSource, namespaces: readonly Namespace[]): HostFacts {
  return {
    name: optionalText(source, '/proc/sys/kernel/hostname') ?? '',
    release: optionalText(source, '/proc/sys/kernel/osrelease') ?? '',
    netns: readNetns(source),
    unplacedMemory: readUnplacedMemory(source),
    unplacedIsCounted: false,
    maxSkbFrags: readMaxSkbFrags(source),
    limits: readNetworkLimits(source, namespaces),
  };
}

function optionalText(source: HostSource, path: string): string | null {
  try {
    return source.readText(path).trim();
  } catch (error) {
    if (error instanceof HostError) return null;
    throw error;
  }
}

function readNetns(source: HostSource): number | null {
  try {
    const inode = /^net:\[(\d{1,15})\]$/.exec(source.readLink('/proc/self/ns/net'))?.[1];
    return inode === undefined ? null : Number(inode);
  } catch (error) {
    if (error instanceof HostError) return null;
    throw error;
  }
}

/** Mount points of tracefs; the kernel itself mounts the second one within debugfs. */
export const TRACEFS_PLACES = ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'] as const;
