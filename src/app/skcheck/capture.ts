import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { escapeText } from '../../answers/text/escape.js';
import { formatSize } from '../../answers/text/size.js';
import { HostError } from '../../base/errors/host.js';
import { OutputError, OutputFile } from '../../base/output-file.js';
import { CAPTURE_SCRIPT } from '../../capture/read/script.js';
import { asExhausted, endGroup, startGroup } from '../../host/child.js';
import { EXIT } from './failure.js';
import type { SkcheckOptions } from './request.js';

export function printScript(): number {
  process.stdout.write(CAPTURE_SCRIPT);
  return EXIT.nothingStale;
}

/**
 * Runs the script that `--capture-script` prints: there is one way to capture, and it is tested. The file
 * appears when it is whole; what was there stays until then. Returns the exit status, after a signal that
 * of a program which the signal has ended.
 */
export async function capture(file: string, options: SkcheckOptions): Promise<number> {
  const interrupts = new Interrupts();
  try {
    const output = new OutputFile(file, options.force ?? false);
    try {
      const folder = temporaryFolder();
      try {
        await runScript(output, folder, options.interval, interrupts);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
      if (interrupts.status !== null) {
        process.stderr.write('skcheck: interrupted, no capture written.\n');
        return interrupts.status;
      }
      const size = output.finish();
      const name = escapeText(file);
      process.stdout.write(`${name}: ${formatSize(size)}. Read it with: skcheck --from ${name}\n`);
      return EXIT.nothingStale;
    } finally {
      output.discard();
    }
  } finally {
    interrupts.end();
  }
}

/** What the script writes before it packs it: removed with all that is in it, however the script ends. */
function temporaryFolder(): string {
  try {
    return mkdtempSync(join(tmpdir(), 'skcheck-'));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new OutputError('cannot-write', `${tmpdir()} cannot be written (${code})`, { cause });
  }
}

async function runScript(
  output: OutputFile,
  folder: string,
  seconds: number,
  interrupts: Interrupts,
): Promise<void> {
  const child = startGroup('sh', ['-s', '--', '-', `${seconds}`], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, TMPDIR: folder },
  });
  interrupts.child = child;
  let complaint = '';
  child.stderr?.on('data', (bytes: Buffer) => {
    if (complaint.length < MAX_COMPLAINT) complaint += bytes.toString('utf8');
  });
  let written = 0;
  const status = await new Promise<number | null>((done, reject) => {
    child.on('error', (cause) =>
      reject(
        asExhausted('sh', cause) ??
          new HostError('capture-failed', 'sh could not be started', { cause }),
      ),
    );
    child.stdout?.on('data', (bytes: Buffer) => {
      if (interrupts.status !== null) return;
      try {
        output.write(written, bytes);
        written += bytes.length;
      } catch (error) {
        reject(error);
        endGroup(child);
      }
    });
    child.on('close', done);
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(CAPTURE_SCRIPT);
  });
  if (interrupts.status !== null) return;
  const lines = complaint.split('\n').filter((line) => line !== '');
  if (status !== 0) {
    const last = (lines.at(-1) ?? `sh ended with status ${status}`).replace(/^snapshot: /, '');
    throw new HostError('capture-failed', `the capture failed: ${last}`);
  }
  for (const line of lines)
    process.stderr.write(`${escapeText(line.replace(/^snapshot: /, 'skcheck: '))}\n`);
}

const MAX_COMPLAINT = 2000;
/** The script cleans up when it is told to end; then it is made to. */
const GRACE_MS = 5000;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Hears signals while a capture runs, and has its script end. */
class Interrupts {
  /** 128 and the number of the signal that came, null while none has. */
  status: number | null = null;
  child: ChildProcess | null = null;
  #timer: NodeJS.Timeout | undefined;
  readonly #hear = (signal: NodeJS.Signals): void => {
    this.status ??= 128 + constants.signals[signal];
    const { child } = this;
    if (!child || this.#timer) return;
    endGroup(child, 'SIGTERM');
    this.#timer = setTimeout(() => endGroup(child), GRACE_MS);
  };

  constructor() {
    for (const signal of SIGNALS) process.on(signal, this.#hear);
  }

  end(): void {
    clearTimeout(this.#timer);
    for (const signal of SIGNALS) process.off(signal, this.#hear);
  }
}
