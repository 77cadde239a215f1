import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { hex } from '../src/base/util.js';
import { socketsSchema } from '../src/contracts/sockets.js';
import { crashRows, wordsOf } from './support/coming-from.js';
import { ROOT } from './support/documents.js';
import { kdumpMem, kdumpMemJson } from './support/in-process.js';

/** Commands that vendors' scripts run in crash for a support case. */
const SUPPORT = [
  'sys',
  'mach',
  'kmem -i',
  'kmem -s',
  'kmem -o',
  'net',
  'dev -d',
  'mount',
  'log',
  'bt',
  'bt -a',
  'files',
  'vm',
  'ps',
  'ps -m',
  'ps -G',
  'runq',
  'foreach bt',
  'swap',
  'ipcs',
  'timer',
  'irq',
  'mod',
  'sig',
  'waitq',
];

const DUMP = join(ROOT, 'fixtures/incident.vmcore');
const rows = crashRows();
const commands = [...new Set(rows.flatMap((row) => row.commands))];

const values: Record<string, string> = { N: '16' };

beforeAll(async () => {
  const { sockets } = await kdumpMemJson(socketsSchema, 'sockets', '--vmcore', DUMP);
  const held = sockets.find(({ holders }) => holders.length > 0);
  values.ADDR = hex(held?.socket.sock ?? 0n);
  [values.PID, values.FD] = [`${held?.holders[0]?.pid}`, `${held?.holders[0]?.fd}`];
});

test('lists each command of support scripts in one row, with an answer or a statement', () => {
  const listed = rows.flatMap(({ crash }) => crash);
  for (const command of SUPPORT)
    expect(
      listed.filter((one) => one === command),
      command,
    ).toHaveLength(1);
  for (const { here, commands: answers, crash } of rows)
    expect(answers.length > 0 || here.startsWith('not answered'), `${crash}`).toBe(true);
});

test.each(commands)('%s answers on a dump of this repository', async (command) => {
  const words = wordsOf(command, values);
  const { status, stdout, stderr } = await kdumpMem(...words, '--vmcore', DUMP);
  // This extract contains memory of networking only; the lab's dumps contain the rest (test/real).
  if (status === 3)
    expect(stderr).toMatch(/^kdump-mem: .*(?:filtered out of the dump|not in the dump|extract: not supported)/);
  else {
    expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).not.toBe('');
  }
});
