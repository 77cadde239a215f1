import { isHostError } from '../../base/errors/host.js';
import { isPid, listedPids } from '../../host/proc/pids.js';
import { MOST_PROCESS_BYTES, NAMESPACES, PROCESS_FILES, THREAD_STATUS } from '../read/contents.js';
import type { Member } from './archive.js';
import { linesOf, SMALL_FILE, type Work } from './work.js';

/** The processes of a moment. */
export interface Seen {
  readonly pids: readonly string[];
  /** Those that have memory of their own. */
  readonly withMemory: readonly string[];
}

/**
 * The states of all processes and threads, in lines `PATH:LINE`; of a process all of its status but its
 * name, which may hold anything.
 *
 * @throws {HostError} /proc cannot be listed
 */
export async function takeStates(work: Work, name: string): Promise<Seen> {
  const { source, archive, deadline, failures } = work;
  const member = archive.member(name);
  const pids = listedPids(source);
  const withMemory: string[] = [];
  for (const [index, pid] of pids.entries()) {
    await deadline.breathe();
    if (deadline.passed) {
      failures.add(name, 'cut', `timeout after ${index} of ${pids.length} processes`);
      break;
    }
    if (member.size >= MOST_PROCESS_BYTES) {
      failures.add(name, 'cut', `only ${index} of ${pids.length} processes fit`);
      break;
    }
    if (takeState(work, member, pid)) withMemory.push(pid);
  }
  member.end();
  return { pids, withMemory };
}

/** @returns whether it has memory of its own */
function takeState(work: Work, member: Member, pid: string): boolean {
  const folder = `/proc/${pid}`;
  const status = linesIn(work, `${folder}/status`);
  // It has ended since it was listed.
  if (status === null) return false;
  const put = (path: string, lines: readonly string[]) => {
    for (const line of lines) member.write(`${path}:${line}\n`);
  };
  put(
    `${folder}/status`,
    status.filter((line) => !line.startsWith('Name:')),
  );
  for (const thread of threadsOf(work, folder)) {
    const path = `${folder}/task/${thread}/status`;
    put(
      path,
      (linesIn(work, path) ?? []).filter((line) => THREAD_STATUS.test(line)),
    );
  }
  const stat = linesIn(work, `${folder}/stat`) ?? [];
  for (const file of PROCESS_FILES) {
    const path = `${folder}/${file}`;
    const lines = file === 'stat' ? stat : (linesIn(work, path) ?? []);
    put(path, work.anonymizer?.processLines(file, lines, stat) ?? lines);
  }
  return status.some((line) => line.startsWith('VmRSS:'));
}

function threadsOf({ source, failures }: Work, folder: string): readonly string[] {
  try {
    return source.list(`${folder}/task`).filter(isPid);
  } catch (error) {
    failures.note(`${folder}/task`, error);
    return [];
  }
}

/** The lines of a small file; null: it could not be read, and that is noted. */
function linesIn({ source, failures }: Work, path: string): string[] | null {
  try {
    return linesOf(source.read(path, SMALL_FILE).bytes.toString('latin1'));
  } catch (error) {
    failures.note(path, error);
    return null;
  }
}

/** The namespaces of each process, as `ls -l` shows links. */
export async function takeNamespaces(
  work: Work,
  at: string,
  pids: readonly string[],
): Promise<void> {
  const member = work.archive.member(`${at}namespaces`);
  const paths = [
    '/proc/self/ns/net',
    ...pids.flatMap((pid) => NAMESPACES.map((kind) => `/proc/${pid}/ns/${kind}`)),
  ];
  for (const path of paths) {
    await work.deadline.breathe();
    try {
      member.write(`lrwxrwxrwx 1 0 0 0 Jan 1 00:00 ${path} -> ${work.source.readLink(path)}\n`);
    } catch (error) {
      // One line of a process: its namespaces are shown or not.
      work.failures.note(path.slice(0, path.lastIndexOf('/')), error);
    }
  }
  member.end();
}

/** So many links are looked at. */
const MOST_DESCRIPTORS = 2_000_000;

/** The descriptors of sockets, as `ls -l` shows those of each process. */
export async function takeDescriptors(
  work: Work,
  at: string,
  pids: readonly string[],
): Promise<void> {
  const { source, archive, failures, deadline } = work;
  const member = archive.member(`${at}descriptors`);
  let left = MOST_DESCRIPTORS;
  for (const pid of pids) {
    const folder = `/proc/${pid}/fd`;
    if (deadline.passed || left < 0) {
      failures.add(`${at}descriptors`, 'cut', `from process ${pid} on`);
      break;
    }
    try {
      let text = `${folder}:\n`;
      for (const name of source.list(folder)) {
        left--;
        const target = linkOf(work, `${folder}/${name}`);
        if (target?.startsWith('socket:['))
          text += `lrwx------ 1 0 0 64 Jan 1 00:00 ${name} -> ${target}\n`;
        await deadline.breathe();
      }
      member.write(text);
    } catch (error) {
      failures.note(folder, error);
    }
  }
  member.end();
}

/** Undefined: it has been closed since it was listed. @throws {HostError} of another kind */
function linkOf({ source }: Work, path: string): string | undefined {
  try {
    return source.readLink(path);
  } catch (error) {
    if (isHostError(error, 'gone')) return undefined;
    throw error;
  }
}
