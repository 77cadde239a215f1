import { expect, test } from 'vitest';
import { openDump } from '../../src/library/index.js';
import { fixture } from '../support/fixtures.js';

const { vmcore } = fixture('6.1');

test('a dump that was closed says so, whatever it is asked', () => {
  const dump = openDump(vmcore);
  const { kernel } = dump;
  expect(kernel.facts.release).toMatch(/^6\.1\./);
  dump.close();
  dump.close();
  for (const ask of [() => dump.sockets(), () => dump.log(), () => dump.kernel])
    expect(ask).toThrow(expect.objectContaining({ name: 'KernelError', code: 'closed' }));
});

test('a name with a zero byte in it is no file', () => {
  expect(() => openDump(`${vmcore}\0`)).toThrow(expect.objectContaining({ code: 'no-such-file' }));
});
