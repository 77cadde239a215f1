import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { logEndSchema, logSchema } from '../../../src/contracts/log.js';
import { captureFiles } from '../../support/capture.js';
import { kdumpMem, kdumpMemJson } from '../../support/in-process.js';
import { scratchFolder } from '../../support/scratch.js';
import { snapshotFiles, writeCapture } from '../../support/snapshot.js';

const folder = scratchFolder('log-from-');

/** Lines of /dev/kmsg: an escaped name, a device, a message of two lines. */
const KMSG = [
  '5,0,0,-;Linux version 6.12.0',
  '6,1,1500000,-,caller=T1;pci 0000:00:01.0: found \\xc3\\xa9 and \\x5cx',
  ' SUBSYSTEM=pci',
  ' DEVICE=+pci:0000:00:01.0',
  '30,2,2500000,c,caller=C3;systemd[1]: one\\x0atwo',
  '3,3,90000001,-;Out of memory: Killed process 7 (\\x1b[31mx)',
  '',
].join('\n');

let made = 0;
const withLog = (log: string | undefined, errors = '') =>
  writeCapture(
    join(folder, `snapshot-${++made}`),
    [...snapshotFiles([]), ...(log === undefined ? [] : [['log', log] as const])].map(
      ([name, text]) => [name, name === 'errors' ? errors : text] as const,
    ),
  );
const answerOf = async (path: string, ...more: string[]) => {
  return kdumpMemJson(logSchema, 'log', '--from', path, ...more);
};

describe('log --from', () => {
  test('reports messages with all fields of /dev/kmsg', async () => {
    const { messages, captured, overwritten, complete } = await answerOf(withLog(KMSG));
    expect({ captured: captured?.host, overwritten, complete }).toEqual({
      captured: 'db1',
      overwritten: 0,
      complete: true,
    });
    expect(messages).toMatchObject([
      { seq: 0, timestampMicroseconds: 0, levelName: 'notice', facilityName: 'kern', caller: null },
      {
        caller: { kind: 'task', id: 1 },
        subsystem: 'pci',
        device: '+pci:0000:00:01.0',
        text: 'pci 0000:00:01.0: found é and \\x',
      },
      { caller: { kind: 'cpu', id: 3 }, levelName: 'info', facilityName: 'daemon', text: 'systemd[1]: one\ntwo' },
      { seq: 3, timestampMicroseconds: 90_000_001, levelName: 'err' },
    ]);
  });

  test('prints them as dmesg does, and escapes control characters', async () => {
    const { stdout, stderr, status } = await kdumpMem('log', '--from', withLog(KMSG));
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout.split('\n')).toEqual([
      '[    0.000000] Linux version 6.12.0',
      '[    1.500000] pci 0000:00:01.0: found é and \\x',
      '[    2.500000] systemd[1]: one',
      '[    2.500000] two',
      '[   90.000001] Out of memory: Killed process 7 (\\x1b[31mx)',
      '',
    ]);
  });

  test('filters by level and time', async () => {
    const path = withLog(KMSG);
    const err = await answerOf(path, '--level', 'err+');
    expect([err.messages.map(({ seq }) => seq), err.omitted]).toEqual([[3], 3]);
    const late = await answerOf(path, '--since', '-88s');
    expect(late.messages.map(({ seq }) => seq)).toEqual([2, 3]);
  });

  test('NDJSON ends with a line that counts the messages', async () => {
    const { stdout } = await kdumpMem('log', '--ndjson', '--from', withLog(KMSG));
    const lines = stdout.trim().split('\n');
    expect(lines).toHaveLength(5);
    expect(logEndSchema.parse(JSON.parse(lines[4] ?? ''))).toMatchObject({ listed: 4 });
  });

  test('counts missing messages', async () => {
    const gaps = KMSG.replace('5,0,0,-', '5,7,0,-').replace('3,3,', '3,12,');
    const lost = gaps.replace('6,1,', '6,8,').replace('30,2,', '30,9,');
    const { overwritten, complete, warnings } = await answerOf(withLog(lost));
    expect([overwritten, complete]).toEqual([7, false]);
    expect(warnings).toMatchObject([{ message: '2 messages in the middle are missing' }]);
  });

  test('dmesg output leaves the number of overwritten messages unknown', async () => {
    const path = withLog('<6>[    1.500000] one\ntwo\n<30>[    2.500000][    T9] three\n');
    const { messages, overwritten, complete } = await answerOf(path);
    expect([overwritten, complete]).toEqual([null, false]);
    expect(messages).toMatchObject([
      { text: 'one\ntwo', levelName: 'info' },
      { text: 'three', facilityName: 'daemon', caller: { kind: 'task', id: 9 } },
    ]);
  });

  test.each([
    ['dmesg without times', 'Linux version 6.1.0\nMem-Info:\n', [null, null], 'unknown log format'],
    ['dmesg -T', '[Sun Nov 22 11:00:01 2026] one\n[Sun Nov 22 11:00:02 2026] two\n', [null, null], 'with dmesg'],
    ['dmesg -x', 'kern  :info  : [    1.000000] one\nkern  :err   : [    2.000000] two\n', [1e6, 2e6], 'with dmesg'],
  ])('reads every text that contains a log: %s', async (_, log, times, words) => {
    const { messages, warnings } = await answerOf(withLog(log));
    expect(messages.map(({ timestampMicroseconds }) => timestampMicroseconds)).toEqual(times);
    expect(warnings.map(({ message }) => message).join()).toContain(words);
    const late = await answerOf(withLog(log), '--since', '-1s');
    expect(late.warnings.some(({ message }) => message.includes('--since'))).toBe(times[0] === null);
  });

  test.each([
    ['leading noise', `noise\n${KMSG}`, '1 lines of the captured log are malformed'],
    ['a repeated message', `${KMSG}${KMSG}`, 'lines of the captured log'],
    ['only noise', 'noise\n', 'the captured log contains no messages'],
  ])('%s makes the answer incomplete', async (_, log, words) => {
    const { complete, warnings } = await answerOf(withLog(log));
    expect(complete).toBe(false);
    expect(warnings[0]?.message).toContain(words);
  });

  test('a truncated log is reported to lack its newest messages', async () => {
    const { warnings } = await answerOf(withLog(KMSG, 'log\tcut\tonly its first 41943040 bytes\n'));
    expect(warnings).toMatchObject([{ message: expect.stringContaining('the newest messages are missing') }]);
  });

  test('a log that was not captured is refused with the reason', async () => {
    const denied = withLog(undefined, 'log\tdenied\tneither /dev/kmsg nor dmesg gives it\n');
    const { status, stdout, stderr } = await kdumpMem('log', '--from', denied);
    expect([status, stdout]).toEqual([3, '']);
    expect(stderr).toContain('log was not captured: permission denied (neither /dev/kmsg');
    const byNode = withLog(undefined, '/dev/kmsg\tdenied\t/dev/kmsg: permission denied\n');
    expect((await kdumpMem('log', '--from', byNode)).stderr).toContain(
      '/dev/kmsg was not captured: permission denied (/dev/kmsg: permission denied)',
    );
    const without = [...snapshotFiles([])].map(
      ([name, text]) => [name, name === 'left-out' ? 'environment\nlog\nnames\n' : text] as const,
    );
    const anonymous = writeCapture(join(folder, 'anonymous'), without);
    expect((await kdumpMem('log', '--from', anonymous)).stderr).toContain('log is excluded from this capture');
    const old = writeCapture(join(folder, 'old'), captureFiles({ inet: ['', ''] }));
    expect((await kdumpMem('log', '--from', old)).stderr).toContain('log was not captured');
  });
});
