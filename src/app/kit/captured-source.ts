import { pastedWords } from '../../answers/origin.js';
import { captureWarnings } from '../../answers/skcheck/warnings.js';
import type { CapturedFiles } from '../../capture/read/captured-files.js';
import { readCapture } from '../../capture/read/files.js';
import { CapturedHost } from '../../capture/read/host.js';
import type { WantedParts } from '../../capture/read/manifest.js';
import type { Captured } from '../../contracts/common.js';
import { optionalText } from '../../host/proc/process.js';
import type { Warning } from '../../walk/warnings.js';

/** A capture, opened for a command. */
export interface CapturedSource {
  readonly host: CapturedHost;
  readonly of: Captured;
  /** Reasons why the capture may be incomplete. */
  readonly warnings: readonly Warning[];
}

/**
 * Opens a capture at its last sample, which contains the most data.
 *
 * @throws {HostError} `denied`, `not-a-capture`
 */
export async function openCaptured(path: string, wanted: WantedParts = {}): Promise<CapturedSource> {
  return capturedAt(await readCapture(path, wanted), 'last');
}

export function capturedAt(files: CapturedFiles, moment: 'first' | 'last'): CapturedSource {
  const host = new CapturedHost(files, moment);
  const name = optionalText(host, '/proc/sys/kernel/hostname').trim() || null;
  return { host, of: { host: name, takenAt: host.at?.toISOString() ?? null }, warnings: warningsOf(host) };
}

function warningsOf(host: CapturedHost): Warning[] {
  const { kind, damage, unproved, pasted } = host;
  const code = 'unreadable';
  const damaged = captureWarnings({ kind, damage, unproved: false, contradictions: [] });
  const lacks = pasted
    ? pastedWords(pasted).join('; ')
    : kind === 'capture'
      ? 'the capture has no manifest: it cannot prove that nothing is missing in it'
      : 'files may be missing: nothing lists what this capture contains';
  return [
    ...damaged.map(({ message }) => ({ code, message }) as const),
    ...(unproved ? [{ code, message: lacks } as const] : []),
    ...host.contradictions().map((message) => ({ code: 'corrupt', message }) as const),
  ];
}
