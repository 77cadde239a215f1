import { KernelError } from '../error.js';
import { hex } from '../hex.js';
import type { CrashSession } from './session.js';

/** One line of a recording: a command and its words, or a read and its bytes (base64) or refusal. */
type Entry =
  | { readonly command: string; readonly answer: string }
  | { readonly read: string; readonly bytes: string }
  | { readonly read: string; readonly refusal: string };

/** Lets a session through and hands a line for each request to `write`: JSON, ending in a newline. */
export function recordSession(session: CrashSession, write: (line: string) => void): CrashSession {
  const record = (entry: Entry) => write(`${JSON.stringify(entry)}\n`);
  return {
    ask(commands) {
      const answers = session.ask(commands);
      for (const [index, command] of commands.entries()) {
        record({ command, answer: answers[index] ?? '' });
      }
      return answers;
    },
    readMemory(address, length) {
      const answer = session.readMemory(address, length);
      const read = readKey(address, length);
      if (typeof answer === 'string') record({ read, refusal: answer });
      else record({ read, bytes: Buffer.from(answer).toString('base64') });
      return answer;
    },
    close: () => session.close(),
  };
}

/**
 * Plays a recording back. The same question gets the same answer, in any order; one that was never
 * asked is an error.
 */
export function playSession(recording: string): CrashSession {
  const answers = new Map<string, string>();
  const memory = new Map<string, Uint8Array | string>();
  for (const line of recording.split('\n')) {
    if (line === '') continue;
    const entry = JSON.parse(line) as Entry;
    if ('command' in entry) answers.set(entry.command, entry.answer);
    else if ('bytes' in entry) memory.set(entry.read, Buffer.from(entry.bytes, 'base64'));
    else memory.set(entry.read, entry.refusal);
  }
  return {
    ask: (commands) => commands.map((command) => recorded(answers, command)),
    readMemory: (address, length) => recorded(memory, readKey(address, length)),
    close: () => {},
  };
}

function readKey(address: bigint, length: number): string {
  return `${hex(address)}+${length}`;
}

function recorded<Answer>(answers: ReadonlyMap<string, Answer>, question: string): Answer {
  const answer = answers.get(question);
  if (answer === undefined) {
    throw new KernelError('crash-failed', `the recording has no answer to: ${question}`);
  }
  return answer;
}
