import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { guestTool } from '../../../../scripts/lab-parts/guest-program.mjs';
import type { TriageJson } from '../../../../src/contracts/triage.js';
import { FINDING_CODES, type FindingCode } from '../../../../src/triage/findings/all.js';
import { kdumpMem } from '../../../support/cli.js';
import { PROOFS, shows } from '../../../support/next-commands.js';
import { isUnreadForLong } from '../../skcheck/queues.js';
import { until } from '../../skcheck/stage.js';

/** Above the 5 % of memory from which the owner of memory is a finding. */
const LARGE = Math.ceil((totalmem() * 0.056) / 2 ** 20) * 2 ** 20;
const folder = mkdtempSync(join(tmpdir(), 'next-command-'));
const MIB = 2 ** 20;

interface Scene {
  readonly name: string;
  /** A program of C of the lab, or a script of perl beside this file; `FOLDER` is a folder. */
  readonly args: readonly string[];
  readonly code: FindingCode;
  /** Figure that the next command has to show. */
  readonly figure: string;
  /** Words of the finding. */
  readonly words?: RegExp;
}

const SCENES: readonly Scene[] = [
  {
    name: 'a packet ring',
    args: ['incident', 'ring', `${LARGE}`],
    code: 'queued-data-of-process',
    figure: 'pinnedBytes',
    words: /^Memory pinned by sockets: packet rings of pid \d+ \(incident\) occupy [\d.]+ [MG]iB/,
  },
  {
    name: 'a UDP socket',
    args: ['incident', 'udp', `${300e6}`],
    code: 'queued-data-of-process',
    figure: 'pinnedBytes',
  },
  {
    name: 'unix streams',
    args: ['incident', 'unix', `${LARGE}`],
    code: 'queued-data-of-process',
    figure: 'pinnedBytes',
  },
  { name: 'small TCP queues', args: ['incident', 'tcp-small', '1e8'], code: 'unread-sockets', figure: 'pinnedBytes' },
  { name: 'large TCP queues', args: ['incident', 'tcp', '2e8'], code: 'unread-sockets', figure: 'pinnedBytes' },
  {
    name: 'a listener that does not accept',
    args: ['incident', 'backlog', '128'],
    code: 'unread-sockets',
    figure: 'pinnedBytes',
  },
  {
    name: 'orphaned TCP sockets',
    args: ['sockets-in-flight.pl', 'orphans', '40'],
    code: 'orphaned-sockets',
    figure: 'pinnedBytes',
    words: /^Orphaned TCP sockets: 40 sockets without a process/,
  },
  {
    name: 'sockets in a message',
    args: ['sockets-in-flight.pl', 'passed', '40'],
    code: 'sockets-in-flight',
    figure: 'pinnedBytes',
    words: /^Sockets in flight: 40 sockets that no process has open/,
  },
  {
    name: 'sockets that ss does not list, unbound and reset, beside some that it lists',
    args: ['sockets-in-flight.pl', 'unlisted', '600'],
    code: 'unlisted-sockets',
    figure: 'openSockets',
    words: /^Sockets that ss does not list: pid \d+ \(unlisted\) has 720 of its \d+ sockets open/,
  },
  {
    name: 'fanotify marks, beside a watch of inotify',
    args: ['watches.pl', '70000', 'FOLDER'],
    code: 'file-watches',
    figure: 'watches',
    words: /^File watches: pid \d+ \(watches\) has 70000 fanotify marks, about 68\.4 MiB of kernel memory\./,
  },
  { name: 'zombies', args: ['incident', 'zombies', '120'], code: 'zombies', figure: 'zombies' },
  { name: 'tasks in state D', args: ['incident', 'vforks', '60'], code: 'blocked-tasks', figure: 'tasks' },
  {
    name: 'a FUSE server that does not answer',
    args: ['fuse-server.pl', 'FOLDER', '10'],
    code: 'blocked-tasks',
    figure: 'tasks',
    words: /the FUSE server pid \d+ \(fuse-server\) of \S+ does not answer; 10 tasks wait for it/,
  },
  { name: 'page tables', args: ['incident', 'tables', `${LARGE}`], code: 'page-tables', figure: 'mostBytes' },
  { name: 'open files', args: ['incident', 'fds', '1000'], code: 'limit-near', figure: 'used' },
  { name: 'BPF maps', args: ['incident', 'bpf', `${LARGE}`], code: 'vmalloc', figure: 'mapBytes' },
];

test('each finding has a row, and each scene its finding', () => {
  const proved = FINDING_CODES.filter((code) => PROOFS[code] === 'scene');
  expect([...new Set(SCENES.map(({ code }) => code))].toSorted()).toEqual(proved.toSorted());
});

async function during(args: readonly string[], use: (pid: number) => Promise<void>): Promise<void> {
  const [program = '', ...words] = args.map((word) => (word === 'FOLDER' ? folder : `${Number(word) || word}`));
  const command = program.endsWith('.pl')
    ? (['perl', join(import.meta.dirname, program)] as const)
    : ([guestTool(program, 'newest').from ?? ''] as const);
  const child = spawn(command[0], [...command.slice(1), ...words], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const [line] = (await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])) as [Buffer | number];
    if (!/^ready/.test(String(line))) throw new Error(`${args.join(' ')}: ${line}`);
    await until(isUnreadForLong);
    await use(child.pid ?? 0);
  } finally {
    try {
      process.kill(-(child.pid ?? 0), 'SIGKILL');
    } catch {}
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
}

describe.skipIf(existsSync('/proc/kcore') || process.geteuid?.() !== 0)(
  'the next command shows what the finding said (needs root, and no /proc/kcore)',
  () => {
    afterAll(() => {
      spawnSync('umount', ['-l', folder]);
      rmSync(folder, { recursive: true });
    });

    test.each(SCENES)('$name', async ({ args, code, figure, words }) => {
      await during(args, async (pid) => {
        const { stdout } = await kdumpMem('triage', '--json');
        const { findings } = JSON.parse(stdout) as TriageJson;
        const isOf = ({ figures }: TriageJson['findings'][number]) =>
          [figures.pid, figures.serverPid].includes(pid) || figures.pid === null || figures.comm === 'incident';
        const found = findings.filter((each) => each.code === code && isOf(each));
        expect(found, JSON.stringify(findings, null, 1)).toHaveLength(1);
        const [finding] = found;
        if (words) expect(finding?.words).toMatch(words);
        const { next = null, figures = {} } = finding ?? {};
        expect(next).not.toBeNull();
        const amount = Number(figures[figure]);
        expect(amount).toBeGreaterThan(figure.endsWith('Bytes') ? MIB : 1);
        const owner = { pid: Number(figures.pid) || null, comm: figures.comm ?? null };
        await expect(shows(next ?? '', owner, amount)).resolves.toBe('owner and amount');
      });
    });
  },
);
