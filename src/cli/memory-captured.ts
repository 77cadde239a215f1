import type { MemoryAnswer } from '../account/memory/answer.js';
import { countedMemory } from '../account/memory/counted.js';
import { readCapture } from '../host/capture/files.js';
import { CapturedHost } from '../host/capture/host.js';
import { HostError } from '../host/error.js';
import { readHostDetails } from '../host/proc/details.js';
import { knownPageSize } from '../host/proc/memory.js';
import { readHostCounts } from '../host/proc/memory-counts.js';
import { optionalText } from '../host/proc/process.js';
import { captureWarnings } from '../report/skcheck/capture.js';
import type { Warning } from '../walk/warnings.js';

/**
 * Where the memory of a host was when it was captured, by its counters.
 *
 * @throws {HostError} `gone`, `denied`, `not-a-capture`; `unreadable`: it lacks what this reads
 * @throws {KernelError} `damaged`: its counters contradict each other
 */
export async function lookCaptured(path: string): Promise<MemoryAnswer> {
  const host = new CapturedHost(await readCapture(path));
  if (knownPageSize(host) === undefined) {
    const message = `${path} does not tell the size of a page: an older skcheck captured it, or it is a sosreport`;
    throw new HostError('unreadable', message, {
      next: 'Capture it again with this skcheck: --capture.',
    });
  }
  const answer = countedMemory(readHostCounts(host), readHostDetails(host));
  const { taken } = host;
  const name = optionalText(host, '/proc/sys/kernel/hostname').trim();
  return {
    ...answer,
    warnings: warningsOf(host),
    captured: { taken, name: name === '' ? undefined : name },
  };
}

function warningsOf({ kind, damage, unproved }: CapturedHost): Warning[] {
  const code = 'unreadable';
  const damaged = captureWarnings({ kind, damage, unproved: false });
  const lacks = 'the capture has no manifest: it cannot prove that nothing is missing in it';
  return [
    ...damaged.map(({ message }) => ({ code, message }) as const),
    ...(unproved ? [{ code, message: lacks } as const] : []),
  ];
}
