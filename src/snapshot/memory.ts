import { MOST_BYTES, MOST_PROCESS_BYTES, type OptionalPart } from '../host/capture/contents.js';
import { isHostError } from '../host/error.js';
import type { Member } from './archive.js';
import { linesOf, SMALL_FILE, type Work } from './work.js';

/** What is read of processes where the kernel may take its time: it waits for their memory maps. */
interface SlowPart {
  /** The member of the archive, below its sample. */
  readonly name: string;
  readonly asked: OptionalPart | null;
  /** A file of /proc/PID. */
  readonly file: string;
  lines(text: string): readonly string[];
}

const SLOW_PARTS: readonly SlowPart[] = [
  { name: 'memory', asked: null, file: 'smaps_rollup', lines: linesOf },
  { name: 'smaps', asked: 'smaps', file: 'smaps', lines: linesOf },
  {
    ...{ name: 'arguments', asked: 'arguments', file: 'cmdline' },
    lines: (text) => linesOf(text).map((line) => line.replaceAll('\0', ' ')),
  },
];

/** What each process maps, in sum and (where that was asked for) one by one; its arguments. */
export async function takeMemory(
  work: Work,
  at: string,
  withMemory: readonly string[],
): Promise<void> {
  for (const part of SLOW_PARTS) {
    if (part.asked !== null && !work.parts.has(part.asked)) continue;
    const member = work.archive.member(`${at}${part.name}`);
    for (const pid of withMemory) await takeSlow(work, part, member, `/proc/${pid}/${part.file}`);
    member.end();
  }
}

async function takeSlow(
  { source, deadline, failures }: Work,
  part: SlowPart,
  member: Member,
  path: string,
): Promise<void> {
  const limit = part.name === 'memory' ? MOST_PROCESS_BYTES : MOST_BYTES;
  if (member.size >= limit) {
    failures.add(path, 'cut', `${part.name} has ${limit} bytes before it`);
    return;
  }
  try {
    const most = part.name === 'memory' ? SMALL_FILE : MOST_BYTES - member.size;
    const answer = source.readSlow(path, most);
    // What comes too late is nobody's.
    answer.catch(() => undefined);
    const { bytes, cut } = await deadline.within(path, answer);
    for (const line of part.lines(bytes.toString('latin1'))) member.write(`${path}:${line}\n`);
    if (cut) failures.add(path, 'cut', 'only its beginning');
  } catch (error) {
    // Those that ended meanwhile are told with their states.
    if (!isHostError(error, 'gone')) failures.note(path, error);
  }
}
