import { readFileSync, statSync } from 'node:fs';
import { TraceError } from '../../../base/errors.js';
import { TRACEFS_PLACES } from '../../../host/facts.js';

/**
 * Finds the mount point of tracefs, and mounts nothing.
 *
 * @throws {TraceError} `trace-no-root`, `trace-not-mounted`, `trace-locked-down`, `trace-unsupported`
 */
export function findTracefs(): string {
  const reasons = new Set<string>();
  for (const place of TRACEFS_PLACES) {
    const reason = whyNot(`${place}/instances`);
    if (reason === undefined) return place;
    reasons.add(reason);
  }
  for (const reason of ['EACCES', 'EPERM'])
    if (reasons.has(reason)) throw refused(TRACEFS_PLACES[0], reason);
  // Under lockdown, tracefs can be mounted, but is empty.
  if (isLockedDown()) throw lockedDown(TRACEFS_PLACES[0], [...reasons].join(', '));
  const filesystems = textOf('/proc/filesystems');
  if (filesystems !== null && !/\ttracefs$/m.test(filesystems))
    throw new TraceError('trace-unsupported', 'this kernel has no tracefs (CONFIG_TRACING)');
  if (/ \/sys\/kernel\/(debug\/)?tracing tracefs /.test(textOf('/proc/mounts') ?? ''))
    throw new TraceError(
      'trace-locked-down',
      'tracefs is mounted but empty (tracing disabled at boot, or lockdown=confidentiality)',
    );
  throw new TraceError('trace-not-mounted', `tracefs is not mounted at ${TRACEFS_PLACES[0]}`, {
    next: `Mount it: mount -t tracefs tracefs ${TRACEFS_PLACES[0]}`,
  });
}

/** Error for an access that the kernel refused. */
export function refused(file: string, reason: string, cause?: unknown): TraceError {
  if (isLockedDown()) return lockedDown(file, reason, cause);
  const user = process.geteuid?.() === 0 ? 'by root of this container' : 'without root';
  return new TraceError('trace-no-root', `${file}: not accessible ${user} (${reason})`, { cause });
}

function isLockedDown(): boolean {
  return /\[confidentiality\]/.test(textOf('/sys/kernel/security/lockdown') ?? '');
}

function lockedDown(file: string, reason: string, cause?: unknown): TraceError {
  return new TraceError(
    'trace-locked-down',
    `${file}: kernel lockdown (confidentiality) denies access (${reason})`,
    { cause },
  );
}

function whyNot(folder: string): string | undefined {
  try {
    return statSync(folder).isDirectory() ? undefined : 'ENOTDIR';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown';
  }
}

function textOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
