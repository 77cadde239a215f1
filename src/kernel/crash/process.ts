import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import type { Socket } from 'node:net';
import path from 'node:path';
import { exhaustionOf, KernelError } from '../../base/errors.js';
import { programPath, safePath } from '../../base/shell.js';
import { asKernelError, ScratchFolder } from './scratch.js';
import type { CrashSession } from './session.js';

/**
 * crash's parent: a small shell that leads its own process group. It kills the group and removes the scratch
 * folder when crash exits or kdump-mem exits for any reason: descriptor 3 is the read end of a pipe whose
 * write end only kdump-mem holds. So neither Ctrl-C nor kill -9 leaves a crash process behind at 100 % CPU.
 */
const GUARDIAN = String.raw`
ulimit -f 65536 # of 512 bytes: the output goes to a file, which may be one in memory
"$@" <requests >>answers 2>&1 3<&- &
crash=$!
( read -r lease <&3; rm -rf -- "$PWD"; kill -KILL 0 ) &
wait "$crash"
printf '\036exited %s\n' "$?" >>answers
rm -rf -- "$PWD"
kill -KILL 0
`;

/** Turns off features that kdump-mem does not use and that only delay start-up. */
const ARGUMENTS = ['-s', '--no_modules', '--no_kmem_cache', '--no_panic', '--no_scroll'];

/**
 * Starts crash under its guardian, in a folder where crash reads `requests` and writes `answers`.
 *
 * @throws {KernelError} `exhausted`; what spawn throws
 */
function startGuarded(program: string, files: readonly string[], folder: string): ChildProcess {
  const guardian = spawn('/bin/sh', ['-c', GUARDIAN, 'sh', program, ...ARGUMENTS, ...files], {
    cwd: folder,
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    // No rc file, pager or locale of the user may change crash's output.
    env: { PATH: safePath(), HOME: folder, LC_ALL: 'C', TERM: 'dumb' },
  });
  // Node reports the reason on the next tick, which is not awaited.
  guardian.on('error', () => undefined);
  if (guardian.pid === undefined) {
    const lacking = 'out of file descriptors, processes or memory';
    throw new KernelError('exhausted', `${program}: start failed (${lacking})`);
  }
  guardian.unref();
  (guardian.stdio[3] as Socket | undefined)?.unref();
  return guardian;
}

function endGuarded({ pid }: ChildProcess): void {
  try {
    // The guardian's group; it may have exited already.
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {}
}

export interface CrashOptions {
  /** Path or name of the crash program. */
  readonly crash: string;
  readonly vmlinux: string | undefined;
  /** Undefined for the live kernel. */
  readonly vmcore: string | undefined;
  /** Milliseconds until the first answer: crash reads 500 MB of debuginfo before it. */
  readonly startTimeout: number;
  /** Milliseconds for each answer after that. */
  readonly requestTimeout: number;
  /** Called now and then while crash starts, with the seconds since. */
  readonly onWait: (seconds: number) => void;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the mark that GUARDIAN prints
const EXITED = /\u001eexited (\d+)\n/;

/** On a damaged dump, crash's output can be endless: more than this for one request is rejected. */
const MAX_OUTPUT = 16 * 2 ** 20;

/** Milliseconds without an answer until a full scratch folder is assumed to be the cause. */
const FULL_MS = 1000;

/** Maximum number of requests in flight: few enough to fit unread into the pipe to crash (64 KiB). */
const PIPELINED = 256;

/** A running crash. Every call blocks; see {@link CrashSession}. */
export class CrashProcess implements CrashSession {
  readonly #program: string;
  readonly #files: readonly string[];
  readonly #scratch: ScratchFolder;
  #guardian: ChildProcess | undefined;
  #requests = -1;
  #answers = -1;
  readonly #requestTimeout: number;
  readonly #nonce = randomBytes(8).toString('hex');
  readonly #buffer = Buffer.allocUnsafe(2 ** 20);
  /** Number of bytes read from the answers file. */
  #position = 0;
  /** Output that was read but not yet assigned to a request. */
  #output = '';
  #serial = 0;
  #closed = false;
  /** crash's start-up output: warnings about the dump. Hostile. */
  readonly greeting: string;

  /**
   * Starts crash and waits for its first answer.
   *
   * @throws {KernelError} `crash-missing`, `crash-hung`, `crash-failed` (with its last lines),
   *   `crash-elsewhere`, `exhausted` or `no-room`
   */
  constructor(options: CrashOptions) {
    const program = findProgram(options.crash);
    this.#program = options.crash;
    this.#requestTimeout = options.requestTimeout;
    const named = (['vmlinux', 'vmcore'] as const).flatMap((name) => {
      const file = options[name];
      return file === undefined ? [] : [{ name, file: path.resolve(file) }];
    });
    this.#files = named.map(({ file }) => file);
    this.#scratch = new ScratchFolder();
    try {
      // Symlinks with plain names: crash interprets some paths (`core@0x1000`, a leading dash).
      for (const { name, file } of named) fs.symlinkSync(file, this.#scratch.file(name));
      this.#requests = this.#scratch.openFifo('requests');
      this.#answers = this.#scratch.open(this.#scratch.file('answers'), 'a+');
      const links = named.map(({ name }) => this.#scratch.file(name));
      this.#guardian = startGuarded(program, links, this.#scratch.path);
    } catch (error) {
      this.close();
      throw asKernelError(error, `${options.crash}: start failed`);
    }
    this.greeting = this.#await(this.#send(''), options.startTimeout, options.onWait);
  }

  execute(commands: readonly string[]): string[] {
    const answers: string[] = [];
    for (let first = 0; first < commands.length; first += PIPELINED) {
      const serials = commands.slice(first, first + PIPELINED).map((command) => this.#send(command));
      for (const serial of serials) answers.push(this.#await(serial, this.#requestTimeout));
      // crash has no pending output: its file can be truncated.
      fs.ftruncateSync(this.#answers);
      this.#position = 0;
    }
    return answers;
  }

  readMemory(address: bigint, length: number): Uint8Array | string {
    const file = this.#scratch.file('memory');
    const [words = ''] = this.execute([`rd -r ${file} ${address.toString(16)} ${length}`]);
    if (words.startsWith('rd: cannot open output file')) this.#failElsewhere();
    if (!words.startsWith(`${length} bytes copied from `)) return words;
    let bytes: Uint8Array;
    try {
      bytes = fs.readFileSync(file);
    } catch (cause) {
      if (exhaustionOf(cause) !== undefined) throw asKernelError(cause, `${file}: read failed`);
      this.#failElsewhere();
    }
    // crash does not report failed writes otherwise.
    if (bytes.length !== length) this.#fail('no-room', `write to ${this.#scratch.path} failed`);
    return bytes;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#guardian) endGuarded(this.#guardian);
    for (const fd of [this.#requests, this.#answers]) if (fd >= 0) fs.closeSync(fd);
    this.#scratch.remove();
  }

  /** Sends a command, followed by one that prints a marker that a dump cannot contain. */
  #send(command: string): number {
    const serial = this.#serial++;
    const newline = command === '' ? '' : '\n';
    // gdb's echo expands octal escapes; crash passes the line through unchanged.
    fs.writeSync(this.#requests, `${command}${newline}gdb echo \\036${this.#nonce}.${serial}\\n\n`);
    return serial;
  }

  /** Returns all output up to the marker of a request. */
  #await(serial: number, timeout: number, onWait?: (seconds: number) => void): string {
    const mark = `\u001e${this.#nonce}.${serial}\n`;
    const start = performance.now();
    let searched = 0;
    for (;;) {
      const at = this.#output.indexOf(mark, Math.max(0, searched - mark.length));
      if (at >= 0) {
        const answer = this.#output.slice(0, at);
        this.#output = this.#output.slice(at + mark.length);
        return answer;
      }
      searched = this.#output.length;
      if (this.#output.length > MAX_OUTPUT) this.#fail('crash-failed', 'output does not end');
      if (this.#readMore()) continue;
      const exited = EXITED.exec(this.#output);
      if (exited) this.#fail('crash-failed', `exited with status ${exited[1]}`);
      const elapsed = performance.now() - start;
      if (elapsed > timeout) {
        this.#fail('crash-hung', `no answer for ${Math.round(elapsed / 1000)} s`);
      }
      // On a full file system no answer arrives, nor a notice that crash exited.
      if (elapsed > FULL_MS && this.#scratch.isFull) this.#fail('no-room', 'no answer');
      if (elapsed > FULL_MS && this.#scratch.isRemoved && !this.#readMore())
        this.#fail('no-room', `exited (${this.#scratch.path} is not writable)`);
      // Most answers take 50 µs, start-up takes seconds: waiting adds at most 5 %.
      sleep(Math.min(elapsed / 20, 20));
      if (elapsed > 100) onWait?.(elapsed / 1000);
    }
  }

  #readMore(): boolean {
    const count = fs.readSync(this.#answers, this.#buffer, 0, this.#buffer.length, this.#position);
    this.#position += count;
    this.#output += this.#buffer.toString('latin1', 0, count);
    return count > 0;
  }

  #fail(code: 'crash-failed' | 'crash-hung' | 'no-room', problem: string): never {
    const last = lastLines(this.#output.replace(EXITED, ''));
    const { path: folder, isFull } = this.#scratch;
    if (last.includes(`${folder}/`) && last.includes('No such file')) this.#failElsewhere(last);
    this.close();
    if (isFull) throw new KernelError('no-room', `${this.#program}: ${problem} (${folder} is full)`);
    throw new KernelError(code, `${this.#program}: ${problem}${last && ` (last output: ${last})`}`);
  }

  /** crash runs with another root or mount namespace: in a container, or behind a program that changes its root. */
  #failElsewhere(lines = ''): never {
    this.close();
    const paths = [this.#scratch.path, ...this.#files].join(', ');
    throw new KernelError(
      'crash-elsewhere',
      `${this.#program}: cannot see these files of kdump-mem: ${paths}${lines && ` (last output: ${lines})`}`,
    );
  }
}

/** The last lines of crash's output joined into one, without the usage text after an error. */
function lastLines(output: string): string {
  const [words = ''] = output.split('\nUsage:');
  const lines = words
    .split('\n')
    .map((line) => line.replace(/\s+/g, ' ').trim())
    .filter((line) => line !== '');
  return lines.slice(-3).join(' | ').slice(-300);
}

const SLEEPER = new Int32Array(new SharedArrayBuffer(4));

function sleep(milliseconds: number): void {
  Atomics.wait(SLEEPER, 0, 0, milliseconds);
}

/**
 * Returns the path of a program.
 *
 * @throws {KernelError} `crash-missing`
 */
function findProgram(name: string): string {
  const program = programPath(name);
  if (program === undefined) throw new KernelError('crash-missing', `${name}: program not found`);
  return program;
}
