import { spawn } from 'node:child_process';
import { statSync } from 'node:fs';
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
  const seconds = options.interval === 0 ? 2 : options.interval;
  const child = spawn('sh', ['-s', '--', path, `${seconds}`], {
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  let complaint = '';
  child.stderr.on('data', (bytes: Buffer) => {
    if (complaint.length < 2000) complaint += bytes.toString('utf8');
  });
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
  process.stdout.write(
    `${escapeText(file)}: ${formatSize(statSync(path).size)}. Read it with: skcheck --from ${escapeText(file)}\n`,
  );
  return EXIT.nothingStale;
}
