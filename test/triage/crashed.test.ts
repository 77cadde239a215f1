import { expect, test } from 'vitest';
import { openNative } from '../../src/kernel/native/open.js';
import { triage } from '../../src/triage/triage.js';
import { fixture } from '../support/fixtures.js';

test('reports a panic if the kernel recorded a crash, even without other evidence', () => {
  const kernel = openNative({ files: [fixture('6.1').vmcore] });
  try {
    expect(kernel.crashed).toBe(false);
    expect(triage(kernel).machine.panic.state).not.toBe('panicked');
    Object.defineProperty(kernel, 'crashed', { value: true });
    const { findings, machine } = triage(kernel);
    expect(machine.panic.state).toBe('panicked');
    expect(findings[0]).toMatchObject({ code: 'panic', severity: 'critical' });
  } finally {
    kernel.close();
  }
});
