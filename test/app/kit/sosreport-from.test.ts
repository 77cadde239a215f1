import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { logSchema } from '../../../src/contracts/log.js';
import { memorySchema } from '../../../src/contracts/memory.js';
import { procsSchema } from '../../../src/contracts/procs.js';
import { kdumpMem, kdumpMemJson } from '../../support/in-process.js';
import { scratchFolder } from '../../support/scratch.js';
import { meminfo } from '../../support/snapshot.js';

const folder = scratchFolder('sosreport-');

const REPORT = join(folder, 'sosreport-db1-2026-11-21-abcdefg');
/** The layout of sos 4, without the output of ss. */
const FILES = {
  'proc/meminfo': meminfo({
    MemTotal: 1_024_000,
    MemFree: 400_000,
    AnonPages: 100_000,
    Cached: 200_000,
    Slab: 80_000,
    SReclaimable: 30_000,
    SUnreclaim: 50_000,
  }),
  hostname: 'db1.example\n',
  'sos_commands/kernel/uname_-a':
    'Linux db1 5.14.0-1.el9.x86_64 #1 SMP PREEMPT_DYNAMIC x86_64 x86_64 x86_64 GNU/Linux\n',
  'sos_commands/date/date_--utc': 'Sat Nov 21 18:05:01 UTC 2026\n',
  'sos_commands/kernel/dmesg':
    '[    0.000000] Linux version 5.14.0\n[   12.345678] Out of memory: Killed process 7 (x)\n',
  'sos_commands/process/ps_auxwwwm': [
    'USER         PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND',
    'root           1  0.0  0.1 171000 13312 ?        -    Nov20   0:03 /usr/lib/systemd/systemd --switched-root',
    'root           -  0.0    -      -     - -        Ss   Nov20   0:03 -',
    'root           2  0.0  0.0      0     0 ?        S    Nov20   0:00 [kthreadd]',
    'postgres    4711  1.5 10.2 999000 104448 ?       Ssl  Nov20 100:03 postgres: writer \u001b[31m',
    'root        4712  0.0  0.0      0     0 ?        Z    18:00   0:00 [sh] <defunct>',
    'short row',
    '',
  ].join('\n'),
};

const remake = (files: Readonly<Record<string, string>>): void => {
  rmSync(REPORT, { recursive: true, force: true });
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(REPORT, name)), { recursive: true });
    writeFileSync(join(REPORT, name), text);
  }
};
beforeAll(() => remake(FILES));

describe('a sosreport', () => {
  test('log prints its journals and rotated logs too, each under its name', async () => {
    const [dmesg, messages] = ['sos_commands/kernel/dmesg', 'var/log/messages'];
    remake({
      ...FILES,
      [`${messages}-20261101`]: 'Nov  1 10:00:00 db1 kernel: [    1.000000] older\n',
      [messages]: 'Nov 21 10:00:00 db1 kernel: [    2.000000] newer\n',
      'sos_commands/logs/journalctl_--no-pager_--boot':
        'Nov 21 10:00:00 db1 kernel: Linux version 5.14.0\nNov 21 10:00:01 db1 sshd[7]: other\n',
    });
    const archive = join(folder, 'sos.tar');
    execFileSync('tar', ['-cf', archive, '-C', folder, basename(REPORT)]);
    for (const from of [REPORT, archive]) {
      const answer = await kdumpMemJson(logSchema, 'log', '--from', from);
      expect(answer).toMatchObject({ source: 'capture', captured: { host: 'db1.example' } });
      expect(answer.messages.map(({ log, text }) => [log, text])).toEqual([
        [dmesg, 'Linux version 5.14.0'],
        [dmesg, 'Out of memory: Killed process 7 (x)'],
        ['sos_commands/logs/journalctl_--no-pager_--boot', 'Linux version 5.14.0'],
        [messages, 'older'],
        [messages, 'newer'],
      ]);
      expect(answer.logs[2]?.files).toEqual([`${messages}-20261101`, messages]);
    }
    const { stdout } = await kdumpMem('log', '--from', REPORT, '--boot', '0');
    expect(stdout.match(/^==> .*/gm)).toHaveLength(3);
    remake({ ...FILES, [dmesg]: '', [messages]: 'Nov 21 10:00:00 db1 kernel: alone\n' });
    const alone = await kdumpMem('log', '--from', REPORT);
    expect(alone.stdout).toContain('alone\n');
    remake(FILES);
  });

  test('memory reports its counters, without output of ss', async () => {
    const answer = await kdumpMemJson(memorySchema, 'memory', '--from', REPORT);
    expect(answer).toMatchObject({
      source: 'counters',
      host: { release: '5.14.0-1.el9.x86_64', pageSize: 4096 },
      captured: { host: 'db1.example', takenAt: '2026-11-21T18:05:01.000Z' },
    });
    expect(answer.memory.bytes).toBe(1_024_000 * 1024);
    expect(answer.warnings).toMatchObject([
      { message: expect.stringContaining('nothing lists what this capture contains') },
    ]);
  });

  test('follows links within the report for the host name', async () => {
    const target = 'sos_commands/host/hostname';
    remake({ ...FILES, [target]: 'db2\n' });
    const hostOf = async () => {
      return (await kdumpMemJson(memorySchema, 'memory', '--from', REPORT)).captured?.host;
    };
    rmSync(join(REPORT, 'hostname'));
    symlinkSync(target, join(REPORT, 'hostname'));
    expect(await hostOf()).toBe('db2');
    // A report that was unpacked without links.
    rmSync(join(REPORT, 'hostname'));
    writeFileSync(join(REPORT, 'hostname'), target);
    expect(await hostOf()).toBe('db2');
    // Files outside the report are not opened.
    rmSync(join(REPORT, 'hostname'));
    rmSync(join(REPORT, target));
    symlinkSync('../../etc/hostname', join(REPORT, 'hostname'));
    expect(await hostOf()).toBeNull();
    remake(FILES);
  });

  test('procs lists the largest RSS first, and prints known values only', async () => {
    const { stdout } = await kdumpMem('procs', '--from', REPORT);
    expect(stdout).toMatch(
      /^2 processes: RSS adds up to 115 MiB, .*PSS is not available\. The largest is pid 4711 \(postgres/,
    );
    expect(stdout).not.toContain('at least ?');
    expect(stdout.indexOf('4711 ')).toBeLessThan(stdout.indexOf('systemd'));
  });

  test('procs reports RSS from ps, and everything else as unknown', async () => {
    const answer = await kdumpMemJson(procsSchema, 'procs', '--from', REPORT);
    expect(answer).toMatchObject({ kernelThreads: 1, zombies: 1, omitted: 2, complete: false });
    expect(answer.processes.map(({ pid, comm, rssBytes }) => [pid, comm, rssBytes])).toEqual([
      [4711, 'postgres:', 104_448 * 1024],
      [1, 'systemd', 13_312 * 1024],
    ]);
    for (const process of answer.processes)
      expect(process).toMatchObject({
        pssBytes: null,
        ussBytes: null,
        swapBytes: null,
        freedIfKilledBytes: null,
        cgroup: null,
        threads: null,
        ageSeconds: null,
      });
    const { stderr } = await kdumpMem('procs', '--from', REPORT);
    expect(stderr).toContain('PSS and USS of 2 processes were not captured: a sosreport contains RSS only');
  });

  test('diff says why it matches no process of ps', async () => {
    const earlier = join(folder, 'earlier');
    cpSync(REPORT, earlier, { recursive: true });
    const { stdout, stderr } = await kdumpMem('diff', earlier, REPORT);
    expect(stderr).toContain('start times of 2 processes are missing, so they cannot be matched');
    expect(stdout).toContain('No processes that can be compared.');
  });

  test('log prints its messages without levels', async () => {
    const { messages, overwritten } = await kdumpMemJson(logSchema, 'log', '--from', REPORT);
    expect(overwritten).toBeNull();
    expect(messages).toMatchObject([
      { level: null, text: 'Linux version 5.14.0' },
      { timestampMicroseconds: 12_345_678 },
    ]);
  });

  test('an unknown page size is no obstacle, and a missing output of ps is refused', async () => {
    const { 'sos_commands/process/ps_auxwwwm': _, ...others } = FILES;
    remake({ ...others, 'sos_commands/kernel/uname_-a': 'Linux db1 5.14.0 aarch64 GNU/Linux\n' });
    const memory = await kdumpMem('memory', '--json', '--from', REPORT);
    expect([memory.status, JSON.parse(memory.stdout).host.pageSizeKnown]).toEqual([0, false]);
    const procs = await kdumpMem('procs', '--from', REPORT);
    expect([procs.status, procs.stdout]).toEqual([3, '']);
    expect(procs.stderr).toContain('has no memory figures of processes');
    remake({ ...others, 'sos_commands/system/getconf_-a': 'PAGESIZE                  65536\n' });
    const large = await kdumpMem('memory', '--json', '--from', REPORT);
    expect(JSON.parse(large.stdout).host.pageSize).toBe(65_536);
  });
});
