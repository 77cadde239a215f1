import type { TraceError, TraceErrorCode } from '../../base/errors/trace.js';
import { programPath } from '../../base/program-path.js';
import type { MethodRefusal, OfferedMethod } from '../../leaks/offered-method.js';
import { offeredReadings } from '../../leaks/readings/methods.js';
import { tracefsRefusal } from '../../leaks/record/tracefs/refusal.js';
import type { AllocationType } from '../../leaks/recording.js';

/** All that can be asked about a kind of allocation on this machine, in order of preference: tracing last. */
export function methodsHere(type: AllocationType): OfferedMethod[] {
  const readings = offeredReadings(type);
  if (type === 'vmalloc') return readings;
  const traced = tracedMethod(tracefsRefusal(type));
  return [...readings, traced, ...(type === 'page' ? [pairedMethod(traced)] : [])];
}

/** bpftrace needs what tracefs has, and to be there. */
function pairedMethod(traced: OfferedMethod): OfferedMethod {
  if (programPath('bpftrace') !== undefined) return { ...traced, method: 'bpftrace' };
  return { method: 'bpftrace', refusal: 'not-installed', why: null };
}

const REFUSALS: Readonly<Partial<Record<TraceErrorCode, MethodRefusal>>> = {
  'trace-no-root': 'denied',
  'trace-not-mounted': 'not-mounted',
  'trace-unsupported': 'absent',
};

/** Tracing, as what recording would fail with. */
export function tracedMethod(error: TraceError | null): OfferedMethod {
  if (error === null) return { method: 'tracefs', refusal: null, why: null };
  const refusal = REFUSALS[error.code] ?? 'not-readable';
  return { method: 'tracefs', refusal, why: error.message };
}
