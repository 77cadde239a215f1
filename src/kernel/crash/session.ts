import { z } from 'zod';
import { KernelError } from '../../base/errors.js';
import { hex } from '../../base/util.js';

/**
 * Interface of a running crash. Three implementations: the process, a recorder around it, and a
 * player of recordings.
 */
export interface CrashSession {
  /**
   * Returns the output of each command, in order; commands are pipelined.
   *
   * @throws {KernelError} `crash-hung` or `crash-failed`, with crash's last lines.
   */
  execute(commands: readonly string[]): string[];

  /**
   * Reads `length` bytes at a virtual address, or returns crash's message if any byte is missing.
   *
   * @throws as {@link execute}
   */
  readMemory(address: bigint, length: number): Uint8Array | string;

  close(): void;
}

/** One line of a recording: a command and its output, or a read and its bytes or error. */
const entrySchema = z.union([
  z.strictObject({ command: z.string(), answer: z.string() }),
  z.strictObject({ read: z.string(), bytes: z.base64() }),
  z.strictObject({ read: z.string(), refusal: z.string() }),
]);

type Entry = z.infer<typeof entrySchema>;

/** Wraps a session and passes each request to `write` as one line of JSON, ending in a newline. */
export function recordSession(session: CrashSession, write: (line: string) => void): CrashSession {
  const record = (entry: Entry) => write(`${JSON.stringify(entry)}\n`);
  return {
    execute(commands) {
      const answers = session.execute(commands);
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
 * Replays a recording. Equal requests get equal answers, in any order; a request that was not
 * recorded is an error.
 *
 * @throws {KernelError} `crash-failed` for a malformed line
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
    execute: (commands) => commands.map((command) => recorded(answers, command)),
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
