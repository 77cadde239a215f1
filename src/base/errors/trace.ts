import { KdumpMemError } from '../error.js';

/** Why nothing could be recorded. What perf itself said is in the message. */
export const TRACE_ERROR_CODES = [
  'perf-missing',
  'perf-refused',
  'perf-failed',
  'process-ended',
  'no-room',
  'bpftrace-missing',
  'bpftrace-failed',
  'bpftrace-ended',
  'trace-no-root',
  'trace-not-mounted',
  'trace-locked-down',
  'trace-unsupported',
  'trace-over-budget',
  'trace-failed',
] as const;
export type TraceErrorCode = (typeof TRACE_ERROR_CODES)[number];

export class TraceError extends KdumpMemError<TraceErrorCode> {}
