import { KdumpMemError } from '../error.js';

/** Why nothing could be recorded. What perf itself said is in the message. */
export type TraceErrorCode =
  | 'perf-missing'
  | 'perf-refused'
  | 'perf-failed'
  | 'process-ended'
  | 'no-room';

export class TraceError extends KdumpMemError<TraceErrorCode> {}
