import { z } from 'zod';
import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { CrashSession } from './session.js';

/** One line of a recording: a command and its words, or a read and its bytes or refusal. */
const entrySchema = z.union([
  z.strictObject({ command: z.string(), answer: z.string() }),
  z.strictObject({ read: z.string(), bytes: z.base64() }),
  z.strictObject({ read: z.string(), refusal: z.string() }),
]);

type Entry = z.infer<typeof entrySchema>;

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
 *
 * @throws {KernelError} `crash-failed` for a line that is no entry
 */
export function playSession(recording: string): CrashSession {
  const answers = new Map<string, string>();
  const memory = new Map<string, Uint8Array | string>();
  for (const [index, line] of recording.split('\n').entries()) {
    if (line === '') continue;
    const entry = readEntry(line, index + 1);
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

function readEntry(line: string, number: number): Entry {
  try {
    return entrySchema.parse(JSON.parse(line));
  } catch (cause) {
    throw new KernelError('crash-failed', `recording: malformed line ${number}`, { cause });
  }
}

function readKey(address: bigint, length: number): string {
  return `${hex(address)}+${length}`;
}

function recorded<Answer>(answers: ReadonlyMap<string, Answer>, question: string): Answer {
  const answer = answers.get(question);
  if (answer === undefined) {
    throw new KernelError('crash-failed', `recording: no answer to ${question}`);
  }
  return answer;
}
