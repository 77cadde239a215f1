import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import type { Socket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { KernelError } from '../error.js';
import type { CrashSession } from './session.js';

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

/**
 * crash's parent: a small shell that leads a process group of its own. It ends the whole group and
 * removes the folder when crash exits or when we are gone, however that happens: descriptor 3 is
 * the read end of a pipe whose other end only we hold. So neither Ctrl-C nor kill -9 leaves a crash
 * behind at 100 % CPU.
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

/** What we never ask of crash, and what would only make it start later. */
const ARGUMENTS = ['-s', '--no_modules', '--no_kmem_cache', '--no_panic', '--no_scroll'];

// biome-ignore lint/suspicious/noControlCharactersInRegex: the mark that GUARDIAN prints
const EXITED = /\u001eexited (\d+)\n/;

/** crash's output can be endless on a damaged dump: more than this from one request is refused. */
const MAX_OUTPUT = 16 * 2 ** 20;

/** Requests under way at a time: few enough to lie in the pipe to crash (64 KiB) unread. */
const PIPELINED = 256;

/** A running crash. Every call blocks; see {@link CrashSession}. */
export class CrashProcess implements CrashSession {
  readonly #program: string;
  readonly #folder: string;
  readonly #guardian: ChildProcess;
  readonly #requests: number;
  readonly #answers: number;
  readonly #requestTimeout: number;
  readonly #nonce = randomBytes(8).toString('hex');
  readonly #buffer = Buffer.allocUnsafe(2 ** 20);
  /** Bytes of the answers file that were read. */
  #position = 0;
  /** What was read and belongs to no answer yet. */
  #output = '';
  #serial = 0;
  #closed = false;
  /** What crash printed while it started: warnings about the dump. Hostile. */
  readonly greeting: string;

  /**
   * Starts crash and waits until it answers.
   *
   * @throws {KernelError} `crash-missing`, `crash-hung` or `crash-failed` (with its last lines).
   */
  constructor(options: CrashOptions) {
    const program = findProgram(options.crash);
    this.#program = options.crash;
    this.#requestTimeout = options.requestTimeout;
    this.#folder = fs.mkdtempSync(path.join(scratchFolder(), 'kdump-mem-'));
    // Links under plain names: crash reads meaning into some (`core@0x1000`, a leading dash).
    const files = (['vmlinux', 'vmcore'] as const).filter((name) => {
      const file = options[name];
      if (file !== undefined) fs.symlinkSync(path.resolve(file), path.join(this.#folder, name));
      return file !== undefined;
    });
    const requests = path.join(this.#folder, 'requests');
    spawnSync('mkfifo', ['-m', '600', requests]);
    this.#answers = fs.openSync(path.join(this.#folder, 'answers'), 'a+', 0o600);
    // For reading too, so that opening does not wait for crash's end.
    this.#requests = fs.openSync(requests, 'r+');
    this.#guardian = spawn('/bin/sh', ['-c', GUARDIAN, 'sh', program, ...ARGUMENTS, ...files], {
      cwd: this.#folder,
      detached: true,
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
      // No rc file, pager or translation of the user's may change what crash prints.
      env: { PATH: process.env.PATH, HOME: this.#folder, LC_ALL: 'C', TERM: 'dumb' },
    });
    this.#guardian.unref();
    (this.#guardian.stdio[3] as Socket | undefined)?.unref();
    this.greeting = this.#await(this.#send(''), options.startTimeout, options.onWait);
  }

  ask(commands: readonly string[]): string[] {
    const answers: string[] = [];
    for (let first = 0; first < commands.length; first += PIPELINED) {
      const serials = commands
        .slice(first, first + PIPELINED)
        .map((command) => this.#send(command));
      for (const serial of serials) answers.push(this.#await(serial, this.#requestTimeout));
      // crash has nothing more to say: its file can begin anew.
      fs.ftruncateSync(this.#answers);
      this.#position = 0;
    }
    return answers;
  }

  readMemory(address: bigint, length: number): Uint8Array | string {
    const [words = ''] = this.ask([`rd -r memory ${address.toString(16)} ${length}`]);
    if (!words.startsWith(`${length} bytes copied from `)) return words;
    const bytes = fs.readFileSync(path.join(this.#folder, 'memory'));
    return bytes.length === length ? bytes : words;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      // The guardian's group; at worst it is gone already.
      if (this.#guardian.pid !== undefined) process.kill(-this.#guardian.pid, 'SIGKILL');
    } catch {}
    fs.closeSync(this.#requests);
    fs.closeSync(this.#answers);
    fs.rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Writes a command and, behind it, one that prints a mark no dump can know. */
  #send(command: string): number {
    const serial = this.#serial++;
    const newline = command === '' ? '' : '\n';
    // gdb's echo knows octal escapes; crash hands the line over untouched.
    fs.writeSync(this.#requests, `${command}${newline}gdb echo \\036${this.#nonce}.${serial}\\n\n`);
    return serial;
  }

  /** Everything that crash prints before the mark of a request. */
  #await(serial: number, timeout: number, onWait?: (seconds: number) => void): string {
    const mark = `\u001e${this.#nonce}.${serial}\n`;
    const start = performance.now();
    let searched = 0;
    for (;;) {
      const found = this.#output.indexOf(mark, Math.max(0, searched - mark.length));
      if (found >= 0) {
        const answer = this.#output.slice(0, found);
        this.#output = this.#output.slice(found + mark.length);
        return answer;
      }
      searched = this.#output.length;
      if (this.#output.length > MAX_OUTPUT) this.#fail('crash-failed', 'prints without an end');
      if (this.#readMore()) continue;
      const exited = EXITED.exec(this.#output);
      if (exited) this.#fail('crash-failed', `exited (status ${exited[1]})`);
      const elapsed = performance.now() - start;
      if (elapsed > timeout) {
        this.#fail('crash-hung', `has not answered for ${Math.round(elapsed / 1000)} s`);
      }
      // Most answers take 50 µs, start-up takes seconds: waiting costs a twentieth of either.
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

  #fail(code: 'crash-failed' | 'crash-hung', what: string): never {
    const said = lastLines(this.#output.replace(EXITED, ''));
    this.close();
    throw new KernelError(code, `${this.#program} ${what}${said && `; it last said: ${said}`}`);
  }
}

/** The end of what crash said, in one line, without the usage that it prints behind an error. */
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

/** Memory-backed where there is such a folder: every page read passes through a file in it. */
function scratchFolder(): string {
  try {
    fs.accessSync('/dev/shm', fs.constants.W_OK);
    return '/dev/shm';
  } catch {
    return os.tmpdir();
  }
}

function findProgram(name: string): string {
  const candidates = name.includes('/')
    ? [path.resolve(name)]
    : (process.env.PATH ?? '').split(':').map((folder) => path.join(folder, name));
  for (const candidate of candidates) {
    try {
      fs.accessSync(candidate, fs.constants.X_OK);
      return candidate;
    } catch {}
  }
  throw new KernelError('crash-missing', `there is no program ${name}`);
}
