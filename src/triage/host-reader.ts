import type { MemoryAnswer } from '../account/memory/answer.js';
import { ExhaustedError, HostError, type HostErrorCode } from '../base/errors.js';
import type { HostSource } from '../host/host-source.js';
import { readHostCounts } from '../host/proc/memory.js';
import type { SharedFile } from '../host/proc/shared-files.js';
import { SharedMappings } from '../host/proc/shared-mappings.js';
import type { SharedOwner } from '../host/proc/shared-owners.js';
import type { MemoryCounters } from '../records/machine-sample.js';
import { lackingLine } from '../records/meminfo-lines.js';
import type { HostCheckName } from '../records/triage-codes.js';
import type { Finding } from './finding.js';

/** An unreadable source, and problems that it may hide. */
export interface Unread {
  readonly check: HostCheckName;
  readonly code: HostErrorCode;
  /** Reason, which names the source. Untrusted. */
  readonly why: string;
  readonly hides: string;
  /** Number of processes that could not be read. */
  readonly processes?: number;
}

/** Memory of a cgroup, page cache included. */
export interface CgroupUse {
  readonly cgroup: string;
  readonly folder: string;
  readonly bytes: number;
}

/** A process by /proc/PID/status. */
export interface ProcessStatus {
  readonly pid: number;
  /** Untrusted; null: not shown, as in a snapshot. */
  readonly name: string | null;
  readonly state: string;
  readonly parent: number;
  readonly threads: number;
  readonly tableBytes: number;
  readonly fdTable: number;
  /** Anonymous memory, including swap; 0 if not shown (before 4.5). */
  readonly anonBytes: number;
  /** The same without swap. */
  readonly rssAnonBytes: number;
  readonly shmemBytes: number;
  /** Upper bound of shared memory in RSS. */
  readonly sharedBytes: number;
  /** Huge pages of hugetlb; null: not shown (before 4.4, kernel threads). */
  readonly hugetlbBytes: number | null;
  /** Pages pinned for io_uring, RDMA or vdpa. */
  readonly pinnedBytes: number;
  /** Mlocked mappings, and pages pinned for VFIO. */
  readonly lockedBytes: number;
}

/** A process of which the RSS alone is known. */
export type ResidentProcess = Pick<ProcessStatus, 'pid' | 'name'> & { readonly bytes: number };

/** Processes, and why some are missing. */
export interface ReadProcesses {
  readonly all: readonly ProcessStatus[];
  readonly missing: readonly HostError[];
}

/** A host, live or captured, and its unreadable sources. */
export class HostReader {
  readonly unread: Unread[] = [];
  readonly checked: HostCheckName[] = [];
  /** Cgroups that the check of cgroups read. */
  readonly cgroups: CgroupUse[] = [];
  /** Owners of shared memory that no process maps, as the check of shared memory found them. */
  readonly unmapped: SharedOwner[] = [];
  /** Files in memory that processes map, as that check found them. */
  readonly mapped: SharedFile[] = [];
  /** Processes, read once for all checks: with many of them it is what takes most time. */
  processes: ReadProcesses | undefined;
  /** Processes of `ps aux`, where that is all that a capture has of them. */
  listed: readonly ResidentProcess[] | undefined;
  /** What the largest processes map; undefined: not read, or not of this machine. */
  mappings: SharedMappings | undefined;
  /** The memory breakdown, if it was made before; it has what sources beside /proc/meminfo name. */
  memory: MemoryAnswer | undefined;
  #counts: MemoryCounters | undefined;

  constructor(
    readonly source: HostSource,
    readonly pageSize: number,
  ) {}

  /** Counters of /proc, read once for all checks. @throws {HostError} */
  get counts(): MemoryCounters {
    this.#counts ??= readHostCounts(this.source, 'text');
    return this.#counts;
  }

  /** Reads the mappings of processes, which checks of a running host need. */
  async readMappings(): Promise<this> {
    if (this.source.file) this.mappings = await SharedMappings.read(this.source);
    return this;
  }

  /** The largest number of processes that one check could not read. */
  get unreadProcesses(): number {
    return this.unread.reduce((most, { processes = 0 }) => Math.max(most, processes), 0);
  }

  /** Runs one check. An unreadable source ends the check, and is recorded. */
  run(check: HostCheckName, hides: string, find: () => Iterable<Finding>): Finding[] {
    const findings: Finding[] = [];
    try {
      for (const finding of find()) findings.push(finding);
    } catch (error) {
      this.miss(check, hides, error);
    }
    if (!this.unread.some((unread) => unread.check === check)) this.checked.push(check);
    return findings;
  }

  /**
   * Records an unreadable source; also one that needs more descriptors or processes than are left: the other
   * checks still count.
   *
   * @param processes number of processes that are unreadable
   * @throws any other error
   */
  miss(check: HostCheckName, hides: string, error: unknown, processes?: number): void {
    const at = this.checked.indexOf(check);
    if (at >= 0) this.checked.splice(at, 1);
    if (!(error instanceof ExhaustedError || error instanceof HostError)) throw error;
    const code = error instanceof HostError ? error.code : 'unreadable';
    this.unread.push({ check, code, why: error.message, hides, ...(processes === undefined ? {} : { processes }) });
  }

  /** @throws {HostError} */
  text(path: string): string {
    return this.source.readText(path);
  }

  /**
   * Text of a file; '' if the kernel lacks the feature. @throws {HostError} for any other cause, or if it was
   * not captured
   */
  optional(path: string): string {
    try {
      return this.text(path);
    } catch (error) {
      if (isAbsent(error)) return '';
      throw error;
    }
  }

  /** Target of a descriptor's link; '': closed meanwhile. @throws {HostError} */
  link(path: string): string {
    try {
      return this.source.readLink(path);
    } catch (error) {
      if (isAbsent(error)) return '';
      throw error;
    }
  }

  /** A number in a file: the first group of a pattern. @throws {HostError} malformed */
  figure(path: string, text: string, form: RegExp): number {
    const value = form.exec(text)?.[1];
    if (value === undefined || !Number.isFinite(Number(value))) throw malformed(path);
    return Number(value);
  }

  /** Bytes of a field of /proc/meminfo. @throws {HostError} */
  meminfo(name: string): number {
    const path = '/proc/meminfo';
    const text = this.text(path);
    const printed = new Set(Array.from(text.matchAll(/^([\w()]{1,40}):/gm), ([, line = '']) => line));
    const { state, why } = lackingLine(name, printed);
    if (!printed.has(name)) throw new HostError(state === 'missing' ? 'unreadable' : 'gone', why);
    return this.figure(path, text, new RegExp(`^${name}:\\s+(\\d{1,13}) kB$`, 'm')) * 1024;
  }

  /** A file that contains one number. @throws {HostError} */
  number(path: string): number {
    return this.figure(path, this.text(path), /^(\d{1,19})\s*$/);
  }
}

export function malformed(path: string): HostError {
  return new HostError('unreadable', `malformed ${path}`);
}

/** Whether the host lacks a file. False for an older snapshot that did not record the file. */
export function isAbsent(error: unknown): error is HostError {
  if (!(error instanceof HostError) || error.code !== 'gone') return false;
  return !error.message.endsWith('was not captured');
}
