import { HostError } from '../../base/errors.js';
import { grouped } from '../../base/grouped.js';
import type { ProcessMemoryRecord } from '../../records/processes.js';
import type { HostSource } from '../host-source.js';
import { readPageSize } from './memory.js';

/** Pages below the start of a stack to check: a running process has written to some of its own. */
const PAGES = 32;

/**
 * Bits of /proc/PID/pagemap entries (fs/proc/task_mmu.c): present, file-mapped or shared, mapped
 * exclusively (4.2), and the frame, which is 0 without CAP_SYS_ADMIN.
 */
const [PRESENT, OF_FILE, ALONE, FRAME] = [1n << 63n, 1n << 61n, 1n << 56n, (1n << 55n) - 1n];

/**
 * Merges processes that share an address space (CLONE_VM without CLONE_THREAD, vfork) into one record:
 * each would report all of its memory, since PSS divides by address spaces. Two processes certainly
 * share it if both map an anonymous page that is mapped once. Only processes whose stacks start at the
 * same address are compared: forks and these.
 *
 * @param stacks start address of each process's stack
 */
export async function mergeShared(
  source: HostSource,
  records: ProcessMemoryRecord[],
  stacks: ReadonlyMap<number, number>,
): Promise<ProcessMemoryRecord[]> {
  if (!source.readSlowBytes) return records;
  const candidates = records.filter(
    ({ pid, blocked, sums }) => !blocked && sums !== null && (stacks.get(pid) ?? 0) > PAGES,
  );
  const families = [...grouped(candidates, ({ pid }) => stacks.get(pid))].filter(
    ([, members]) => members.length > 1,
  );
  if (families.length === 0) return records;
  const pageSize = readPageSize(source);
  const shared = new Map<number, number[]>();
  for (const [stack = 0, members] of families) {
    const from = Math.max(0, Math.floor(stack / pageSize) - PAGES + 1) * 8;
    const read = ({ pid }: ProcessMemoryRecord) => ownFrames(source, pid, from);
    const byFrame = new Map<bigint, ProcessMemoryRecord>();
    for (const [at, frames] of (await Promise.all(members.map(read))).entries()) {
      const member = members[at]!;
      const known = [...frames].find((frame) => byFrame.has(frame));
      const first = known === undefined ? undefined : byFrame.get(known);
      // After a fork, the page may have passed from one process to the other.
      if (first && known !== undefined && (await read(first)).has(known))
        shared.set(first.pid, [...(shared.get(first.pid) ?? []), member.pid]);
      else for (const frame of frames) byFrame.set(frame, member);
    }
  }
  const sharing = new Set([...shared.values()].flat());
  return records.flatMap((record) => {
    if (sharing.has(record.pid)) return [];
    const sharedWith = shared.get(record.pid);
    return [sharedWith ? { ...record, sharedWith } : record];
  });
}

/** Frames of anonymous pages that only this process maps. */
async function ownFrames(source: HostSource, pid: number, from: number): Promise<Set<bigint>> {
  const frames = new Set<bigint>();
  try {
    const bytes = await source.readSlowBytes?.(`/proc/${pid}/pagemap`, from, PAGES * 8);
    for (let at = 0; bytes && at + 8 <= bytes.length; at += 8) {
      const entry = bytes.readBigUInt64LE(at);
      const isOwn = (entry & (PRESENT | OF_FILE | ALONE)) === (PRESENT | ALONE);
      if (isOwn && (entry & FRAME) !== 0n) frames.add(entry & FRAME);
    }
  } catch (error) {
    // Unknown: the process keeps its own record.
    if (!(error instanceof HostError)) throw error;
  }
  return frames;
}
