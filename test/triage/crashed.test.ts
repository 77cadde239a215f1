import { expect, test } from 'vitest';
import { timesJson } from '../../src/answers/triage/json.js';
import { earlyLines } from '../../src/answers/triage/text.js';
import { openNative } from '../../src/kernel/native/open.js';
import type { KernelTriage } from '../../src/triage/answer.js';
import { triage } from '../../src/triage/triage.js';
import { fixture, incident } from '../support/fixtures.js';

test('reports a panic if the kernel recorded a crash, even without other evidence', () => {
  const kernel = openNative({ files: [fixture('6.1').vmcore] });
  try {
    expect(kernel.crashTime).toBeUndefined();
    expect(triage(kernel).machine.panic.state).not.toBe('panicked');
    Object.defineProperty(kernel, 'crashTime', { value: 1_779_000_000 });
    const { findings, machine } = triage(kernel);
    expect(machine.panic.state).toBe('panicked');
    expect(findings[0]).toMatchObject({ code: 'panic', severity: 'critical' });
    expect(timesJson(machine)).toEqual({
      crashTime: '2026-05-17T06:40:00.000Z',
      time: { at: '2026-05-17T06:40:00.000Z', from: 'crash' },
    });
  } finally {
    kernel.close();
  }
});

test('reports log and panic before memory is read, without a conclusion', () => {
  const kernel = openNative({ files: [incident().vmcore] });
  try {
    const steps: (number | KernelTriage)[] = [];
    const whole = triage(
      kernel,
      (part) => steps.push(part),
      (early) => steps.push(early),
    );
    const [early, next] = steps;
    if (typeof early !== 'object') throw new Error('memory was read first');
    expect(next).toBe(0);
    expect(early).toMatchObject({ memory: undefined, complete: false });
    expect(early.findings.length).toBeGreaterThan(1);
    for (const finding of early.findings) expect(whole.findings).toContain(finding);
    expect(earlyLines(early)).toEqual([
      expect.stringMatching(/^web-7, Linux 6\.12\.\S+, 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC, up 1 min, panicked$/),
      expect.stringMatching(/^CRITICAL {2}Kernel panic: Out of memory/),
      expect.stringMatching(/^CRITICAL {2}OOM killer: the kernel panicked instead of killing a process/),
      expect.stringMatching(/^stack of the panic: delay_tsc < panic < out_of_memory/),
    ]);
    // Without a finding of the log, nothing says that there is none.
    expect(earlyLines({ ...early, findings: [] })).toHaveLength(1);
  } finally {
    kernel.close();
  }
});
