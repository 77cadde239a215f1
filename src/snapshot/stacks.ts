import { MOST_BYTES } from '../host/capture/contents.js';
import { isHostError } from '../host/error.js';
import { linesOf, SMALL_FILE, type Work } from './work.js';

/** The kernel stacks of all threads, in lines `PATH:LINE`. */
export async function takeStacks(work: Work, at: string, pids: readonly string[]): Promise<void> {
  const { source, archive, failures, deadline } = work;
  const member = archive.member(`${at}stacks`);
  for (const pid of pids) {
    await deadline.breathe();
    if (deadline.passed || member.size >= MOST_BYTES) {
      failures.add(`${at}stacks`, 'cut', `from process ${pid} on`);
      break;
    }
    try {
      for (const thread of source.list(`/proc/${pid}/task`)) {
        const path = `/proc/${pid}/task/${thread}/stack`;
        for (const line of linesOf(source.read(path, SMALL_FILE).bytes.toString('latin1')))
          member.write(`${path}:${line}\n`);
      }
    } catch (error) {
      if (!isHostError(error, 'gone')) failures.note(`/proc/${pid}/task`, error);
    }
  }
  member.end();
}
