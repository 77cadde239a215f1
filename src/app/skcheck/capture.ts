import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { HostError } from '../../base/errors.js';
import { escapeText } from '../../base/escape.js';
import { OutputError, OutputFile } from '../../base/output-file.js';
import { shellPath } from '../../base/shell.js';
import { formatSize } from '../../base/size.js';
import { CAPTURE_SCRIPT } from '../../capture/read/script.js';
import { asExhausted, endGroup, startGroup } from '../../host/child.js';
import { printText } from '../kit/output.js';
import { EXIT, type SkcheckOptions } from './options.js';

export function printScript(): number {
  process.stdout.write(CAPTURE_SCRIPT);
  return EXIT.nothingStale;
}

/**
 * Runs the script that `--capture-script` prints, so that there is only one, tested way to capture. The file
 * is replaced only when the new one is complete. Returns the exit status; after a signal, the status of a
 * program killed by it.
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
      printText(`${name}: ${formatSize(size)}. Read it with: skcheck --from ${shellPath(file)}`);
      return EXIT.nothingStale;
    } finally {
      output.discard();
    }
  } finally {
    interrupts.end();
  }
}

/**
 * Creates the temporary directory for the script's output before packing. It is removed with its contents
 * however the script exits.
 */
function temporaryFolder(): string {
  try {
    return mkdtempSync(join(tmpdir(), 'skcheck-'));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new OutputError('cannot-write', `${tmpdir()} cannot be written (${code})`, { cause });
  }
}

async function runScript(output: OutputFile, folder: string, seconds: number, interrupts: Interrupts): Promise<void> {
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
      reject(asExhausted('sh', cause) ?? new HostError('capture-failed', 'sh could not be started', { cause })),
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
  for (const line of lines) process.stderr.write(`${escapeText(line.replace(/^snapshot: /, 'skcheck: '))}\n`);
}

const MAX_COMPLAINT = 2000;
/** Time for the script to clean up after SIGTERM, before it is killed. */
const GRACE_MS = 5000;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Handles signals during a capture, and terminates its script. */
class Interrupts {
  /** 128 plus the number of the received signal, null if none was received. */
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
