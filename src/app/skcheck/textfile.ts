import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { readHealth } from '../../answers/skcheck/health.js';
import type { HostSource } from '../../host/host-source.js';
import { writeTextfile } from '../kit/output.js';
import { EXIT } from './failure.js';
import { ScanMetrics } from './metrics.js';
import type { SkcheckOptions } from './request.js';

/** Ours has some kilobytes: what is larger is not ours. */
const MOST_BYTES = 2 ** 20;

/**
 * One look, as metrics: to stdout, or into a file of node_exporter's textfile collector, which appears
 * whole or not at all and goes on counting from the one that was there. A look that fails is metrics too
 * (`skcheck_up 0`), and status 3.
 */
export async function printMetrics(source: HostSource, options: SkcheckOptions): Promise<number> {
  const file = typeof options.prometheus === 'string' ? options.prometheus : null;
  const past = file === null ? undefined : readHealth(readBefore(file));
  const { text, ok } = await new ScanMetrics(source, options, past).next();
  if (file === null) process.stdout.write(text);
  else writeTextfile(file, text);
  return ok ? EXIT.nothingStale : EXIT.couldNotLook;
}

/** What is there; nothing for what is not, and for what we would not have written. */
function readBefore(file: string): string {
  let fd: number;
  try {
    fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return '';
  }
  try {
    const there = fstatSync(fd);
    return there.isFile() && there.size <= MOST_BYTES ? readFileSync(fd, 'utf8') : '';
  } finally {
    closeSync(fd);
  }
}
