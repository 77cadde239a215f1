import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { processSchema } from '../../../src/contracts/process.js';
import { procsSchema } from '../../../src/contracts/procs.js';
import { captureFiles } from '../../support/capture.js';
import { kdumpMem, kdumpMemJson } from '../../support/in-process.js';
import { scratchFolder } from '../../support/scratch.js';
import { type MadeProcess, meminfo, snapshotFiles, writeCapture } from '../../support/snapshot.js';

const folder = scratchFolder('procs-from-');

const WEB = '/kubepods/burstable/pod0b5e0f5c-0000-4000-8000-000000000001/web';
const INIT: MadeProcess = { pid: 1, comm: 'init', anonymous: 300 };
const GROWS: MadeProcess = { pid: 7, comm: 'grows', cgroup: WEB, anonymous: 900, before: 500 };
const LATER: MadeProcess = { pid: 8, comm: 'later', cgroup: WEB, anonymous: 40, later: true };

let made = 0;
/** A snapshot of these processes; `change` may damage it before its manifest is written. */
function snapshot(
  processes: readonly MadeProcess[],
  change: (files: Map<string, string>) => void = () => undefined,
): string {
  const files = snapshotFiles(processes);
  change(files);
  return writeCapture(join(folder, `snapshot-${++made}`), files);
}

const answerOf = async (path: string, ...more: string[]) => {
  const { stdout, stderr, status } = await kdumpMem('procs', '--json', '--from', path, ...more);
  expect([status, stderr]).toEqual([0, '']);
  return procsSchema.parse(JSON.parse(stdout));
};

describe('procs --from', () => {
  test('reports a large process whose mappings were not requested by its RSS', async () => {
    const path = snapshot([INIT, { ...GROWS, pss: null }], (files) =>
      files.set('errors', '/proc/7/smaps_rollup\tlarge\treading it blocks the process: --pss all\n'),
    );
    const { stdout, stderr, status } = await kdumpMem('procs', '--json', '--from', path);
    const answer = procsSchema.parse(JSON.parse(stdout));
    expect([status, stderr]).toEqual([0, '']);
    expect(answer.processes[0]).toMatchObject({ pid: 7, pssBytes: null, pssUnknown: 'large', rssBytes: 1000 * 1024 });
    expect(answer.total.withoutPss).toEqual({ processes: 1, rssBytes: 1000 * 1024 });
    expect(answer.warnings.map(({ code, message }) => [code, message])).toEqual([
      [
        'pss-not-read',
        expect.stringContaining('kdump-mem snapshot --pss all reads them, and blocks it for up to about 1 ms'),
      ],
    ]);
  });

  test('has MemTotal and MemAvailable of the captured machine; null: its text lacks one', async () => {
    const machineIn = async (meminfo: string) =>
      (await answerOf(snapshot([INIT], (files) => files.set('proc/meminfo', meminfo)))).machine;
    const total = 'MemTotal: 1024000 kB\n';
    expect(await machineIn(`${total}MemFree: 512000 kB\nMemAvailable: 600000 kB\n`)).toMatchObject({
      totalBytes: 1_024_000 * 1024,
      availableBytes: 600_000 * 1024,
    });
    expect(await machineIn(`${total}MemFree: 512000 kB\n`)).toMatchObject({ availableBytes: null });
  });

  test('has what TCP and UDP sockets are charged with, unless sockets are queried', async () => {
    const sockstat = 'sockets: used 9\nTCP: inuse 1 orphan 0 tw 0 alloc 1 mem 256\nUDP: inuse 0 mem 4\n';
    const charged = async (auxv: string | undefined, ...more: string[]) => {
      const path = snapshot([INIT], (files) => {
        files.set('proc/net/sockstat', sockstat);
        if (auxv !== undefined) files.set('proc/self/auxv', auxv);
      });
      const { stdout } = await kdumpMem('procs', '--json', '--from', path, ...more);
      return procsSchema.parse(JSON.parse(stdout)).machine?.chargedSocketBytes;
    };
    // AT_PAGESZ, 64 KiB.
    const auxv = `\x06${'\0'.repeat(7)}\0\0\x01${'\0'.repeat(5)}`;
    expect(await charged(auxv)).toBe(260 * 65_536);
    expect(await charged(auxv, '--sockets')).toBeUndefined();
    // It counts pages, whose size is unknown then.
    expect(await charged(undefined)).toBeUndefined();
  });

  test('rejects --pss, since a capture contains what it contains', async () => {
    const { status, stderr } = await kdumpMem('procs', '--pss', 'all', '--from', snapshot([INIT]));
    expect([status, stderr]).toEqual([2, expect.stringContaining('--pss requires --live')]);
  });

  test('reports the processes of the last sample, from their captured files', async () => {
    const answer = await answerOf(snapshot([INIT, GROWS, LATER]));
    expect(answer).toMatchObject({
      source: 'proc',
      kernel: null,
      complete: true,
      omitted: 0,
      exited: 0,
      warnings: [],
      captured: { host: 'db1', takenAt: '2026-01-02T03:04:08.000Z' },
      total: { processes: 3, ussBytes: 1240 * 1024 },
    });
    expect(answer.processes[0]).toMatchObject({
      pid: 7,
      comm: 'grows',
      uid: 33,
      nsPids: [7, 1],
      cgroup: WEB,
      threads: 1,
      rssBytes: 1000 * 1024,
      pssBytes: 900 * 1024,
      ussBytes: 900 * 1024,
      swapBytes: 0,
      fileBytes: 100 * 1024,
      pageTableBytes: 44 * 1024,
      oomScore: 667,
      oomScoreAdj: -1,
      // It started 50 s after boot, and was captured at 103 s.
      ageSeconds: 53,
    });
  });

  test('groups them by cgroup, and selects processes of a container or pid namespace', async () => {
    const path = snapshot([INIT, GROWS, LATER]);
    const { groups } = await answerOf(path, '--by', 'cgroup');
    expect(groups?.map(({ key, processes, ussBytes }) => [key, processes, ussBytes])).toEqual([
      [WEB, 2, 940 * 1024],
      ['/', 1, 300 * 1024],
    ]);
    const of = async (...more: string[]) => {
      return (await kdumpMemJson(procsSchema, 'procs', '--from', path, ...more)).processes.map(({ pid }) => pid);
    };
    expect(await of('--pid', '4026532008:1')).toEqual([8]);
    const { status, stderr } = await kdumpMem('procs', '--from', path, '--pid', '99');
    expect([status, stderr]).toEqual([4, expect.stringContaining('no pid 99 with memory of its own')]);
  });

  test('reports its host and time, and the next command for it', async () => {
    const path = snapshot([INIT]);
    const { stdout } = await kdumpMem('procs', '--from', path);
    expect(stdout).toContain('As captured on db1 at 2026-01-02 03:04:08 UTC.');
    expect(stdout).toContain(`Next: kdump-mem memory --from ${path}`);
  });

  test('reports data that was not captured as unknown, not as zero', async () => {
    const path = snapshot([INIT, { ...GROWS, pss: null }]);
    const answer = await answerOf(path);
    expect(answer).toMatchObject({ complete: false, omitted: 1 });
    expect(answer.processes.find(({ pid }) => pid === 7)).toMatchObject({
      pssBytes: null,
      ussBytes: null,
      freedIfKilledBytes: null,
      rssBytes: 1000 * 1024,
      complete: false,
    });
    const { status, stderr } = await kdumpMem('procs', '--from', path, '--strict');
    expect(status).toBe(5);
    expect(stderr).toContain('PSS and USS of pid 7 (');
  });

  test.each([
    ['unreadable\ttimeout', /: the capture timed out, or the kernel did not answer/],
    ['denied\tit may not be read', /: permission denied$/],
    ['gone\tit is not there', /: the processes had exited$/],
  ])('reports why data was not captured, as the capture states it: %s', async (how, words) => {
    const path = snapshot([INIT, { ...GROWS, pss: null }], (files) =>
      files.set('errors', `/proc/7/smaps_rollup\t${how}\n`),
    );
    const { warnings } = await answerOf(path);
    expect(warnings).toMatchObject([{ code: 'unreadable', message: expect.stringMatching(words) }]);
  });

  test('a process in a copy of /proc has not exited', async () => {
    const files = new Map([
      ['proc/meminfo', meminfo({ MemTotal: 60_000 })],
      [
        'proc/1/status',
        'Name:\tprocd\nState:\tS (sleeping)\nTgid:\t1\nPid:\t1\nPPid:\t0\nUid:\t0\t0\t0\t0\nVmRSS:\t1200 kB\n',
      ],
      ['proc/1/stat', `1 (procd) S 0 1 1 0 -1 256 1 1 1 1 1 1 1 1 20 0 1 0 3 1200000 300 ${'0 '.repeat(28)}0\n`],
    ]);
    const { stdout, stderr } = await kdumpMem('procs', '--from', writeCapture(join(folder, 'copy'), files));
    expect(stdout).toMatch(/^1 process: RSS adds up to 1\.17 MiB/);
    expect(stderr).toContain('pid 1 (procd) were not captured: the input has no smaps_rollup of them');
  });

  test('a process whose status was not readable has not exited', async () => {
    const path = snapshot([INIT, GROWS], (files) => {
      files.set('sample-2/after', (files.get('sample-2/after') ?? '').replaceAll(/^\/proc\/7\/.*\n/gm, ''));
      files.set('sample-2/memory', '');
      files.set('errors', '/proc/7/status\tdenied\tx\n');
    });
    const answer = await answerOf(path);
    expect(answer).toMatchObject({ exited: 0, complete: false });
    expect(answer.warnings.map(({ message }) => message).join()).toContain('/proc hides processes');
  });

  test('reports missing processes of other users if /proc hid them', async () => {
    const answer = await answerOf(snapshot([GROWS]));
    expect(answer.complete).toBe(false);
    expect(answer.warnings).toMatchObject([{ message: expect.stringContaining('hidepid') }]);
  });

  test.each(['sample-2/after', 'sample-2/descriptors', 'sample-2/memory', 'errors'])(
    'is incomplete if there was no time for all of %s',
    async (name) => {
      const path = snapshot([INIT, GROWS], (files) => files.set('errors', `${name}\tcut\ttimeout\n`));
      expect(await answerOf(path)).toMatchObject({
        complete: false,
        warnings: expect.arrayContaining([
          expect.objectContaining({ message: expect.stringContaining(`${name} is truncated in this capture`) }),
        ]),
      });
    },
  );

  test('damage and a newer layout make it incomplete', async () => {
    const cut = snapshot([INIT, GROWS]);
    writeFileSync(join(cut, 'sample-2/memory'), '');
    const answer = await answerOf(cut);
    expect(answer.complete).toBe(false);
    expect(answer.warnings.map(({ message }) => message)).toEqual([
      expect.stringContaining('sample-2/memory differs from the captured file'),
      expect.stringContaining('PSS and USS of 2 processes were not captured'),
    ]);
    const newer = await answerOf(snapshot([INIT], (files) => files.set('version', '4\n')));
    expect(newer).toMatchObject({
      complete: false,
      warnings: [{ message: expect.stringContaining('unsupported capture format 4') }],
    });
  });

  test.each([['list'], ['--watch'], ['--ndjson']])(
    'a capture of the second layout has no memory of processes (%s)',
    async (option) => {
      const path = writeCapture(join(folder, `old-${made++}`), captureFiles({ inet: ['', ''] }));
      const more = option === 'list' ? [] : [option];
      const { status, stdout, stderr } = await kdumpMem('procs', '--from', path, ...more);
      expect([status, stdout]).toEqual([3, '']);
      expect(stderr).toContain(
        'has no memory figures of processes (an older capture, or a sosreport or text without ps). If the host still runs, take a snapshot: kdump-mem snapshot.',
      );
    },
  );
});

test('a snapshot whose time was over before its processes says so', async () => {
  const cut = snapshot([], (files) => files.set('errors', 'sample-2/after\tcut\ttimeout after 0 of 7 processes\n'));
  const { status, stderr } = await kdumpMem('procs', '--from', cut);
  expect(status).toBe(3);
  expect(stderr).toContain(
    'has no memory figures of processes: the snapshot ended before them (sample-2/after is truncated). If the host still runs, take a snapshot: kdump-mem snapshot --timeout 300.',
  );
});

test('a copy of /proc that has only status of its processes gives RSS', async () => {
  const copy = join(folder, `status-${made++}`);
  mkdirSync(join(copy, 'proc/7'), { recursive: true });
  const status = 'Name:\tweb server\nState:\tS (sleeping)\nTgid:\t7\nPPid:\t1\nVmRSS:\t 2048 kB\nThreads:\t1\n';
  writeFileSync(join(copy, 'proc/7/status'), status);
  const { processes } = await answerOf(copy);
  expect(processes).toMatchObject([{ pid: 7, comm: 'web server', rssBytes: 2048 * 1024, pssBytes: null }]);
});

describe('procs --from --pid', () => {
  const smaps = [
    '55d0000-55d2000 rw-p 00000000 00:00 0                                  [heap]',
    'Rss: 8 kB',
    'Pss: 8 kB',
    'Private_Clean: 0 kB',
    'Private_Dirty: 8 kB',
    'Anonymous: 8 kB',
    'Swap: 4 kB',
    'SwapPss: 4 kB',
    'Locked: 0 kB',
    '',
  ].join('\n');

  test('shows captured mappings', async () => {
    const path = snapshot([INIT, { ...GROWS, smaps }]);
    const { stdout, stderr } = await kdumpMem('procs', '--json', '--from', path, '--pid', '7');
    expect(stderr).toBe('');
    const { mappings, pssBytes, captured } = processSchema.parse(JSON.parse(stdout));
    expect(captured?.host).toBe('db1');
    expect(pssBytes).toBe(8192);
    expect(mappings).toMatchObject([{ start: 0x55d0000n, kind: 'heap', privateDirtyBytes: 8192, swapBytes: 4096 }]);
  });

  test('shows the figures of the list if mappings were not captured, and reports that', async () => {
    const answer = await answerOf(snapshot([INIT, GROWS]), '--pid', '7');
    expect(answer.processes.map(({ pid }) => pid)).toEqual([7]);
    expect(answer.complete).toBe(false);
    expect(answer.warnings).toMatchObject([
      { message: expect.stringContaining('mappings of pid 7 were not captured') },
    ]);
  });

  test('a truncated file does not count as all mappings', async () => {
    const path = snapshot(
      [
        { ...INIT, smaps },
        { ...GROWS, smaps },
      ],
      (files) => files.set('errors', 'sample-2/smaps\tcut\tonly its first bytes\n'),
    );
    expect((await answerOf(path, '--pid', '7')).warnings).toMatchObject([
      { message: expect.stringContaining('mappings of pid 7 were not captured') },
    ]);
    const { stdout } = await kdumpMem('procs', '--json', '--from', path, '--pid', '1');
    expect(processSchema.parse(JSON.parse(stdout)).mappings).toHaveLength(1);
  });
});

describe('growth between the samples of a capture', () => {
  test('uses the same measure in both samples, and can be stored', async () => {
    const path = snapshot([INIT, GROWS, LATER]);
    const { stdout, status } = await kdumpMem('procs', '--from', path, '--ndjson');
    expect(status).toBe(0);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ schema, pid }) => (pid === undefined ? schema : pid))).toEqual([
      'kdump-mem.procs-sample/1',
      7,
      1,
      'kdump-mem.procs-sample/1',
      7,
      1,
      8,
      'kdump-mem.procs-end/1',
    ]);
    const held = lines.filter(({ pid }) => pid === 7).map(({ heldBytes, heldBy }) => [heldBytes, heldBy]);
    expect(held).toEqual([
      [500 * 1024, 'rss'],
      [900 * 1024, 'rss'],
    ]);
    const file = join(folder, 'stored.ndjson');
    writeFileSync(file, stdout);
    const stored = await kdumpMem('procs', '--from-samples', file, '--json');
    expect(JSON.parse(stored.stdout)).toMatchObject({ samples: 2, seconds: 3 });
  });

  test('is shown as a table', async () => {
    const { stdout, status } = await kdumpMem('procs', '--from', snapshot([INIT, GROWS]), '--watch');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^ *7 +900 KiB/m);
  });
});

test.each([
  [['--live'], 'cannot be used'],
  [['--engine', 'crash'], '--engine does not apply to --from'],
  [['--stacks', '1'], 'cannot be used'],
  [['--watch', '--interval', '1'], 'cannot be used'],
  [['--vmcore', 'x'], 'cannot be used'],
  [['.'], '--from and . cannot be combined'],
])('%s with --from is refused', async (more, words) => {
  const { status, stderr } = await kdumpMem('procs', '--from', folder, ...more);
  expect(status).toBe(2);
  expect(stderr).toContain(words);
});
