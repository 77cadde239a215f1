import { expect, it } from 'vitest';
import { refusalWords } from '../../../src/answers/leaks/methods.js';
import { tracedMethod } from '../../../src/app/leaks/options.js';
import { TraceError } from '../../../src/base/errors.js';

it('reports the tracing error that recording would fail with', () => {
  const method = 'tracefs';
  expect(tracedMethod(null)).toEqual({ method, refusal: null, why: null });
  for (const [code, refusal] of [
    ['trace-no-root', 'denied'],
    ['trace-not-mounted', 'not-mounted'],
    ['trace-unsupported', 'absent'],
    ['trace-locked-down', 'not-readable'],
    ['trace-failed', 'not-readable'],
  ] as const)
    expect(tracedMethod(new TraceError(code, code))).toEqual({ method, refusal, why: code });
  const locked = tracedMethod(new TraceError('trace-locked-down', 'lockdown (confidentiality)'));
  expect(refusalWords(locked)).toBe('no: lockdown (confidentiality)');
});
