import { KdumpMemError } from '../error.js';

/** Why nothing could be recorded. What perf itself said is in the message. */
export const TRACE_ERROR_CODES = [
  'perf-missing',
  'perf-refused',
  'perf-failed',
  'process-ended',
  'no-room',
] as const;
export type TraceErrorCode = (typeof TRACE_ERROR_CODES)[number];

export class TraceError extends KdumpMemError<TraceErrorCode> {}
