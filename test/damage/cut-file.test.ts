import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { runCommand } from '../../scripts/fuzz-parts/command.js';
import { DumpDirectory } from '../support/dump/file.js';
import { fixture } from '../support/fixtures.js';

const { vmcore, truth } = fixture('6.1');
const whole = readFileSync(vmcore);
const folder = new DumpDirectory();
afterAll(() => folder.dispose());

const holder = truth.sockets.find(({ holders }) => holders.length > 0)?.holders[0];
const socket = ['--pid', `${holder?.pid}`, '--fd', `${holder?.fd}`];

/** The first part of the fixture, in hundredths. */
const cut = (hundredths: number) =>
  folder.write(`${hundredths}`, whole.subarray(0, Math.floor((whole.length * hundredths) / 100)));

describe('a dump that ends before its page tables', () => {
  const file = cut(5);
  test.each([['skb', ...socket], ['sockets'], ['read', 'init_task'], ['struct', 'task_struct', 'init_task']])(
    '%s reports that it is truncated',
    async (...args) => {
      const { status, stderr } = await runCommand([...args, '--vmcore', file]);
      expect(status).toBe(3);
      expect(stderr).toMatch(
        /^kdump-mem: .*\/5: truncated \(needs at least \d+ bytes, has \d+\)\. Copy the file again\.$/,
      );
    },
  );
});

describe('a dump that ends before the end of its task list', () => {
  const file = cut(95);
  const list = /warning: incomplete: \d+ parts of kernel memory .* are beyond the end of the file: the process list,/;

  test('skb finds the process by its pid, and reports what is behind the end', async () => {
    const { status, stderr } = await runCommand(['skb', ...socket, '--vmcore', file, '--strict']);
    expect(status).toBe(5);
    expect(stderr).toMatch(list);
  });

  test('sockets reports the missing data, and lists the sockets that pids lead to', async () => {
    const { status, stdout, stderr } = await runCommand(['sockets', '--vmcore', file, '--strict']);
    expect(status).toBe(5);
    expect(stdout).toMatch(/^\d+ of \d+ sockets pin at least /);
    expect(stderr).toMatch(list);
    expect(stderr).toMatch(/beyond the end of the file: .*sockets found by slabs/);
  });
});
