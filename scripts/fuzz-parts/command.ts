import { Command, CommanderError } from 'commander';
import { registerExtract } from '../../src/app/extract/command.js';
import { registerInfo } from '../../src/app/info/command.js';
import { registerRead } from '../../src/app/read/command.js';
import { registerSkb } from '../../src/app/skb/command.js';
import { registerSockets } from '../../src/app/sockets/command.js';
import { registerStruct } from '../../src/app/struct/command.js';
import { Broken, checkText, clock, MAX_MS, refusal } from './rules.js';

/** Output of a command, and its exit status. */
export interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Valid exit statuses for a damaged dump: success, unreadable, not found, incomplete. */
const STATUSES: readonly number[] = [0, 3, 4, 5];

/**
 * Runs `kdump-mem` in this process, like its own main file, and checks the rules for any run: it
 * exits soon, with a documented status, and prints no terminal control sequences.
 *
 * @throws {Broken}
 */
export async function runCommand(args: readonly string[]): Promise<Ran> {
  const program = new Command('kdump-mem').exitOverride().configureOutput({ outputError: () => {} });
  for (const register of [registerExtract, registerInfo, registerRead, registerSkb, registerSockets, registerStruct])
    register(program);
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  const streams = [
    { stream: process.stdout, to: out, write: process.stdout.write },
    { stream: process.stderr, to: err, write: process.stderr.write },
  ];
  for (const { stream, to } of streams) {
    stream.write = ((chunk: string | Uint8Array) => {
      to.push(Buffer.from(chunk as string));
      return true;
    }) as typeof stream.write;
  }
  const spent = clock();
  const before = process.exitCode;
  process.exitCode = 0;
  let status: number;
  let line = '';
  try {
    await program.parseAsync([...args], { from: 'user' });
    status = Number(process.exitCode);
  } catch (error) {
    if (error instanceof CommanderError) throw new Error(`fuzz: ${error.message}`);
    ({ status, line } = refusal(error));
  } finally {
    for (const { stream, write } of streams) stream.write = write;
    process.stdout.removeAllListeners('error');
    process.exitCode = before;
  }
  const took = spent();
  const raw = args.includes('--raw');
  const ran = {
    status,
    stdout: raw ? '' : Buffer.concat(out).toString('utf8'),
    stderr: Buffer.concat(err).toString('utf8') + line,
  };
  const words = args.join(' ');
  if (!STATUSES.includes(status)) throw new Broken('exit status', `${status}: ${words}: ${line}`);
  checkText(ran.stdout);
  checkText(ran.stderr);
  if (took > MAX_MS) throw new Broken('too slow', `${Math.round(took)} ms: ${words}`);
  if (args.includes('--json') && status !== 3 && status !== 4) JSON.parse(ran.stdout);
  return ran;
}
