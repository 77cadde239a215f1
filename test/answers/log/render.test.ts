import { describe, expect, test } from 'vitest';
import { messageText } from '../../../src/answers/log/render.js';

const message = (text: string, more: object = {}) => ({
  seq: 1,
  timestamp: 12_345_678_901n,
  level: 6,
  facility: 0,
  caller: { kind: 'task', id: 42 } as const,
  comm: '',
  subsystem: '',
  device: '',
  text,
  ...more,
});

describe('log message', () => {
  test('repeats its time before each of its lines', () => {
    expect(messageText(message('one\ntwo'), {})).toBe('[   12.345678] one\n[   12.345678] two\n');
  });

  test('escapes control sequences, and prints tabs and backslashes as dmesg does', () => {
    const hostile = 'ACPI: \\_SB_\tok \u001b[2J\u202e\udc9b';
    expect(messageText(message(hostile), {})).toBe('[   12.345678] ACPI: \\_SB_\tok \\x1b[2J\\u{202e}\\x9b\n');
  });

  test('prints facility, level and caller where dmesg prints them', () => {
    expect(messageText(message('x'), { decode: true, callers: true })).toBe(
      'kern  :info  : [   12.345678][   T42] x\n',
    );
    const other = message('x', { level: null, facility: 99, caller: { kind: 'cpu', id: 1 } });
    expect(messageText(other, { decode: true, callers: true })).toBe('99    :?     : [   12.345678][    C1] x\n');
  });
});
