import { spawn } from 'node:child_process';
import { closeSync, openSync, rmSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { CAPTURE_SCRIPT } from '../host/capture/script.js';
import { HostError } from '../host/error.js';
import { escapeText } from '../report/escape.js';
import { formatSize } from '../report/size.js';
import { EXIT } from './skcheck-failure.js';
import type { SkcheckOptions } from './skcheck-options.js';

export function printScript(): number {
  process.stdout.write(CAPTURE_SCRIPT);
  return EXIT.nothingStale;
}

/** Runs the script that `--capture-script` prints: there is one way to capture, and it is tested. */
export async function capture(file: string, options: SkcheckOptions): Promise<number> {
  const path = resolve(file);
  if (!options.force) reserve(path, file);
  try {
    await runScript(path, options.interval);
  } catch (error) {
    // What was there before stays; what we made ourselves is no capture.
    if (!options.force) rmSync(path, { force: true });
    throw error;
  }
  const name = escapeText(file);
  const size = formatSize(statSync(path).size);
  process.stdout.write(`${name}: ${size}. Read it with: skcheck --from ${name}\n`);
  return EXIT.nothingStale;
}

/** Makes the file, so that none that is there is ever written over. */
function reserve(path: string, name: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    throw code === 'EEXIST'
      ? new HostError('exists', `${escapeText(name)} exists; --force replaces it`, { cause })
      : new HostError('cannot-write', `${escapeText(name)} cannot be written (${code})`, { cause });
  }
}

async function runScript(path: string, seconds: number): Promise<void> {
  const child = spawn('sh', ['-s', '--', path, `${seconds}`], {
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  let complaint = '';
  child.stderr.on('data', (bytes: Buffer) => {
    if (complaint.length < 2000) complaint += bytes.toString('utf8');
  });
  // A file that is half written goes: the script ends, and what follows cleans up.
  const stop = () => child.kill('SIGTERM');
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  const status = await new Promise<number | null>((done, reject) => {
    child.on('error', (cause) =>
      reject(new HostError('unreadable', 'sh could not be started', { cause })),
    );
    child.on('close', done);
    child.stdin.on('error', () => undefined);
    child.stdin.end(CAPTURE_SCRIPT);
  });
  if (status !== 0)
    throw new HostError(
      'unreadable',
      `the capture failed with status ${status}: ${complaint.trim().split('\n')[0] ?? ''}`,
    );
  for (const line of complaint.split('\n'))
    if (line !== '') process.stderr.write(`${escapeText(line)}\n`);
}
