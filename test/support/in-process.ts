import { runCommandLine } from '../../src/app/kdump-mem.js';
import { commandPath, type Ran } from './cli.js';
import { COMMAND_NAMES, registrars } from './commands.js';

let last: Promise<unknown> = Promise.resolve();

/**
 * Runs a command line of `kdump-mem` in this process, where its code is compiled once: for tests of answers, which need
 * no process of their own. Calls run one after the other, since each has stdout to itself.
 */
export function kdumpMem(...args: readonly string[]): Promise<Ran> {
  return queued(process.cwd(), null, args);
}

/** Runs it in another folder. */
export function kdumpMemIn(folder: string, ...args: readonly string[]): Promise<Ran> {
  return queued(folder, null, args);
}

/** Runs it as if stdout were a terminal of this width. */
export function kdumpMemOn(columns: number, ...args: readonly string[]): Promise<Ran> {
  return queued(process.cwd(), columns, args);
}

/** The answer of `kdump-mem … --json`, by its schema. */
export async function kdumpMemJson<T>(schema: { parse(json: unknown): T }, ...args: readonly string[]): Promise<T> {
  const { stdout } = await kdumpMem(...args, '--json');
  return schema.parse(JSON.parse(stdout));
}

function queued(folder: string, columns: number | null, args: readonly string[]): Promise<Ran> {
  const ran = last.then(() => run(folder, columns, args));
  last = ran.catch(() => undefined);
  return ran;
}

async function run(folder: string, columns: number | null, args: readonly string[]): Promise<Ran> {
  const register = await registrars(COMMAND_NAMES.includes(args[0] ?? '') ? args.slice(0, 1) : COMMAND_NAMES);
  const { argv } = process;
  const before = process.cwd();
  const stdout = replaced(process.stdout, columns);
  const stderr = replaced(process.stderr, null);
  // Workers of `triage --ndjson` are processes of the built program.
  process.argv = [process.execPath, commandPath('kdump-mem'), ...args];
  process.exitCode = undefined;
  process.chdir(folder);
  try {
    await runCommandLine(...register);
    return { stdout: stdout.text(), stderr: stderr.text(), status: Number(process.exitCode ?? 0) };
  } finally {
    process.exitCode = undefined;
    process.argv = argv;
    process.chdir(before);
    stdout.restore();
    stderr.restore();
  }
}

/** Collects what is written to a stream, which appears to be a pipe, or a terminal of this width. */
function replaced(stream: NodeJS.WriteStream, columns: number | null): { text(): string; restore(): void } {
  const { write, isTTY, columns: before } = stream;
  const pieces: Buffer[] = [];
  const collect = (piece: Uint8Array | string) => {
    pieces.push(Buffer.from(piece as string));
    return true;
  };
  Object.assign(stream, { write: collect, isTTY: columns !== null, columns });
  return {
    text: () => Buffer.concat(pieces).toString(),
    restore: () => void Object.assign(stream, { write, isTTY, columns: before }),
  };
}
