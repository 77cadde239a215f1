import { HostError } from '../../base/errors/host.js';
import type { HostSource } from '../../host/host-source.js';
import type { CaptureOrigin } from '../../records/capture-origin.js';
import type { Warning } from '../../walk/warnings.js';
import { UsageError } from '../kit/failure.js';
import type { ProcsOptions } from './options.js';

/** The host whose processes are listed. */
export interface ProcessHost {
  readonly source: HostSource;
  /** Undefined: it is this machine. */
  readonly captured?: CaptureOrigin;
  readonly warnings: readonly Warning[];
  /** Of a sosreport: what `ps aux` printed, its only source about processes. */
  readonly psText?: string;
}

/** Whether the source is a host's /proc or a capture, not a kernel's memory. */
export function readsHost({ live, from }: Pick<ProcsOptions, 'live' | 'from'>): boolean {
  return live === true || from !== undefined;
}

/**
 * This machine, or a capture.
 *
 * @param mappings mappings of processes are needed
 * @throws {UsageError} for an engine; {@link HostError}
 */
export async function openProcessHost(
  { from, engine }: Pick<ProcsOptions, 'from' | 'engine'>,
  mappings = false,
): Promise<ProcessHost> {
  if (from === undefined) {
    if (engine !== 'auto')
      throw new UsageError('--live does not support --engine, because it reads /proc');
    return { source: (await import('../../host/live.js')).liveHost, warnings: [] };
  }
  const [{ openCaptured }, { checkFrom }] = await Promise.all([
    import('../kit/captured-source.js'),
    import('../kit/from-argument.js'),
  ]);
  checkFrom({ from, engine });
  const { host, of, warnings } = await openCaptured(from, { mappings });
  const { psText } = host;
  return { source: host, captured: of, warnings, ...(psText === undefined ? {} : { psText }) };
}

/** Captures have memory of processes since their third layout. */
export function withoutMemory(from: string): HostError {
  return new HostError(
    'unreadable',
    `${from} has no memory figures of processes (an older capture, or a sosreport without ps)`,
    {
      next: 'Take a new snapshot: kdump-mem snapshot.',
    },
  );
}
