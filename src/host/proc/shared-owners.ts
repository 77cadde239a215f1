import { grouped } from '../../base/util.js';
import { parseCgroups } from '../../records/cgroups.js';
import type { HostSource } from '../host-source.js';
import { optionalText } from './process.js';
import { DELETED, type SharedFile } from './shared-files.js';

/** A smaller part of a group does not name it. */
const MAX_OF = 0.95;

/** Files in memory of one owner: a process, a program, a tmpfs, a System V segment. */
export interface SharedOwner extends SharedFile {
  /** Number of files. */
  readonly files: number;
  /** Process names; null: unknown, or no process. Untrusted. */
  readonly comm: string | null;
  /** Number of processes of a program; 1: one process, or none. */
  readonly processes: number;
  /** No path leads to most of it: memfds, deleted files, and what was unmounted. */
  readonly isHidden: boolean;
  /** Cgroup of the mount namespace that has the tmpfs; null: ours, or unknown. Untrusted. */
  readonly cgroup: string | null;
}

/**
 * Files in memory by owner, largest first. Files that processes map are apart from others of the same owner.
 *
 * @param leastBytes processes below it are one owner with others of their name, if these have so much together
 */
export function sharedOwners(host: HostSource, files: readonly SharedFile[], leastBytes: number): SharedOwner[] {
  const commOf = (pid: number | undefined) =>
    pid === undefined ? null : optionalText(host, `/proc/${pid}/comm`).trimEnd() || null;
  const keyOf = ({ kind, name, pid, mount, inside, mapped }: SharedFile) =>
    JSON.stringify(
      kind === 'segment'
        ? [name]
        : pid !== undefined
          ? [pid, mapped]
          : [mount ?? folderOf(name), inside, mapped === true],
    );
  const owners = [...grouped(files, keyOf)].map(([, members]) => ownerOf(host, members, commOf));
  const isSmall = ({ pid, kind, bytes, comm }: SharedOwner) =>
    pid !== undefined && kind !== 'segment' && bytes < leastBytes && comm !== null;
  const programs = [...grouped(owners.filter(isSmall), ({ comm, mapped }) => JSON.stringify([comm, mapped]))].flatMap(
    ([, members]): readonly SharedOwner[] => {
      const [largest, ...others] = members.toSorted((a, b) => b.bytes - a.bytes) as [SharedOwner, ...SharedOwner[]];
      const sum = (of: (owner: SharedOwner) => number) => members.reduce((all, owner) => all + of(owner), 0);
      const bytes = sum((owner) => owner.bytes);
      if (others.length === 0 || bytes < leastBytes) return members;
      const files = sum((owner) => owner.files);
      const isHidden = 2 * sum((owner) => (owner.isHidden ? owner.bytes : 0)) >= bytes;
      return [{ ...largest, bytes, files, processes: members.length, isHidden }];
    },
  );
  return [...owners.filter((owner) => !isSmall(owner)), ...programs]
    .filter(({ bytes }) => bytes > 0)
    .toSorted((a, b) => b.bytes - a.bytes);
}

function folderOf(name: string): string {
  return name.slice(0, name.lastIndexOf('/'));
}

function ownerOf(
  host: HostSource,
  members: readonly SharedFile[],
  commOf: (pid: number | undefined) => string | null,
): SharedOwner {
  const sum = (some: readonly SharedFile[]) => some.reduce((all, { bytes }) => all + bytes, 0);
  const bytes = sum(members);
  const files = members.filter(({ kind }) => kind !== 'tmpfs');
  const rest = members.find(({ kind }) => kind === 'tmpfs');
  const [largest = members[0] as SharedFile] = files.toSorted((a, b) => b.bytes - a.bytes);
  // One file names a tmpfs only if little else is in it.
  const isOfMount = rest !== undefined && largest.pid === undefined && largest.bytes < MAX_OF * bytes;
  const { limit } = rest ?? largest;
  const isNowhere = ({ kind, name, pid }: SharedFile) =>
    kind === 'tmpfs' ? pid !== undefined : name.startsWith('memfd:') || name.endsWith(DELETED);
  const hidden = sum(members.filter(isNowhere));
  const { inside } = largest;
  return {
    ...(isOfMount ? { ...largest, kind: 'tmpfs', name: rest.name } : largest),
    ...(limit === undefined ? {} : { limit }),
    bytes,
    files: files.length,
    comm: commOf(largest.pid ?? inside),
    processes: 1,
    isHidden: 2 * hidden >= bytes,
    cgroup: inside === undefined ? null : (parseCgroups(optionalText(host, `/proc/${inside}/cgroup`))?.path ?? null),
  };
}
