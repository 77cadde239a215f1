import { TraceError } from '../error.js';
import type { Words } from '../perf/run.js';
import type { BpftraceEnd } from './run.js';

/** Whether it knows no stacks of addresses alone. */
export function isOldStackMode(said: string): boolean {
  return /Unknown identifier: 'raw'|[Uu]nknown stack mode/.test(said);
}

/** Why bpftrace ended before its time. */
export function failureOf({ cause, signal }: BpftraceEnd, words: Words): TraceError {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === 'ENOENT' || code === 'EACCES')
    return new TraceError('bpftrace-missing', 'bpftrace is not installed', { cause });
  if (signal !== undefined)
    return new TraceError('bpftrace-failed', `bpftrace was ended by ${signal}`, { cause });
  const { text } = words;
  const told = (errorCode: ConstructorParameters<typeof TraceError>[0]) =>
    new TraceError(errorCode, `bpftrace: ${reasonOf(words)}`, { cause });
  if (/lockdown/i.test(text)) return told('trace-locked-down');
  if (/root user|Operation not permitted|EPERM|CAP_/.test(text)) return told('trace-no-root');
  return told('bpftrace-failed');
}

/** Its first error, without what it says besides. */
function reasonOf(words: Words): string {
  const error = /(?:^|: )ERROR: ([^\n]{1,300})/m.exec(words.text)?.[1];
  return error ?? words.reason;
}
