import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { triageSchema } from '../../../src/contracts/triage.js';
import { kdumpMem } from '../../support/in-process.js';
import { meminfo, snapshotFiles, writeCapture } from '../../support/snapshot.js';

const folder = mkdtempSync(join(tmpdir(), 'triage-from-'));
afterAll(() => rmSync(folder, { recursive: true }));

const OOM =
  'Out of memory: Killed process 7 (grows) total-vm:4000kB, anon-rss:900kB, file-rss:0kB, shmem-rss:0kB, UID:33 pgtables:44kB oom_score_adj:0';
const KMSG = [
  '6,0,0,-;Linux version 6.12.0',
  '4,1,80000000,-,caller=T9;INFO: task kworker/1:1:9 blocked for more than 120 seconds.',
  `3,2,90000001,-,caller=T7;${OOM}`,
  '',
].join('\n');

const AUXV = Buffer.alloc(32);
AUXV.writeBigUInt64LE(6n, 0);
AUXV.writeBigUInt64LE(4096n, 8);
const ZONES = `Node 0, zone   Normal
        min      1000
        low      2000
        high     3000
        spanned  262144
        present  262144
        managed  256000
  start_pfn:           4096
    cpu: 0
              count: 10
`;

let made = 0;
function snapshot(changes: Readonly<Record<string, string | null>> = {}): string {
  const files = new Map<string, string | Buffer>([
    ...snapshotFiles([]),
    ['log', KMSG],
    ['proc/self/auxv', AUXV],
    ['proc/zoneinfo', ZONES],
    ['proc/buddyinfo', 'Node 0, zone   Normal      9      0      0\n'],
    ['proc/sys/kernel/osrelease', '6.12.0-1\n'],
  ]);
  for (const [name, text] of Object.entries(changes))
    if (text === null) files.delete(name);
    else files.set(name, text);
  return writeCapture(join(folder, `snapshot-${++made}`), files);
}

describe('triage --from', () => {
  test('reports findings of the log and the counters of a snapshot', async () => {
    const path = snapshot();
    const { stdout, status } = await kdumpMem('triage', '--json', '--from', path);
    expect(status).toBe(0);
    const answer = triageSchema.parse(JSON.parse(stdout));
    expect(answer).toMatchObject({
      release: '6.12.0-1',
      overwritten: 0,
      complete: false,
      captured: { host: 'db1' },
      memory: { bytes: 262_144 * 4096 },
    });
    // The snapshot lacks files of some checks: each is a warning, with its code.
    expect(answer.unread.length).toBeGreaterThan(0);
    expect(answer.warnings).toEqual(
      answer.unread.map(({ check, code, why, hides }) => ({
        code,
        message: `${check}: ${why} (this may hide ${hides})`,
      })),
    );
    const codes = answer.findings.map(({ code }) => code);
    expect(codes).toEqual(expect.arrayContaining(['oom-kill', 'hung-task', 'low-memory']));
    const low = answer.findings.find(({ code }) => code === 'low-memory');
    expect(low?.figures).toMatchObject({ freeBytes: 9 * 4096, minBytes: 1000 * 4096 });
    // A capture does not contain stacks in kernel memory.
    for (const { next } of answer.findings) expect(next ?? 'log').toMatch(/^(log|memory|procs)/);
  });

  test('prints them as text, with the data that is not checked', async () => {
    const path = snapshot();
    const { stdout } = await kdumpMem('triage', '--from', path, '-v');
    expect(stdout).toMatch(
      /^Linux 6\.12\.0-1, captured on db1 at .* UTC\. \d critical, \d warnings?, and possibly more: some data could not be read\./,
    );
    expect(stdout).toContain(`Next: kdump-mem procs --from ${path}`);
    expect(stdout).toContain(`More: kdump-mem memory --nodes --from ${path}`);
  });

  test.each([
    ['the log', { log: null }, undefined],
    ['/proc/meminfo', { 'proc/meminfo': '' }, '/proc/meminfo has no MemTotal'],
    [
      'a counter',
      { 'proc/meminfo': 'MemTotal: 1024000 kB\n' },
      'memory is incomplete: lines of /proc/meminfo are missing: ',
    ],
    ['older messages', { log: KMSG.split('\n').slice(1).join('\n') }, undefined],
  ])('without %s, no findings is no all-clear', async (_, changes, words) => {
    const { stdout } = await kdumpMem('triage', '--json', '--from', snapshot(changes));
    const { complete, warnings, unread } = triageSchema.parse(JSON.parse(stdout));
    expect(complete).toBe(false);
    // Those of checks begin with the name of the check.
    const others = warnings.filter(({ message }) => !unread.some(({ check }) => message.startsWith(`${check}: `)));
    expect(others.map(({ message }) => message)).toEqual(words === undefined ? [] : [expect.stringContaining(words)]);
  });

  test('a capture that lacks many files names them, and no command that needs them', async () => {
    const lacking = {
      log: null,
      'proc/zoneinfo': null,
      'proc/vmstat': null,
      'proc/loadavg': null,
      'proc/buddyinfo': null,
    };
    const { stdout } = await kdumpMem('triage', '--from', snapshot(lacking));
    expect(stdout).toContain('. The kernel log was not captured. ');
    expect(stdout).toMatch(
      /^Not captured: \/proc\/zoneinfo, .*; (\d+) checks need these files \(-v lists them\)\. Not checked: /m,
    );
    const { stdout: whole } = await kdumpMem('triage', '-v', '--from', snapshot(lacking));
    expect(whole).toContain('(/proc/zoneinfo was not captured)');
  });

  /** A snapshot without problems. */
  function quiet(errors: string): string {
    const files = new Map(snapshotFiles([{ pid: 1, comm: 'init', anonymous: 300 }]));
    for (const sample of ['sample-1', 'sample-2']) {
      const own = ' /proc/self/ns/net -> net:[4026531840]\n';
      files.set(`${sample}/namespaces`, `${files.get(`${sample}/namespaces`)}lrwxrwxrwx 1 0 0 0 Jan  1 00:00${own}`);
      for (const group of ['inet', 'unix', 'others']) files.set(`${sample}/netns-4026531840/${group}`, '');
    }
    files.set('errors', errors);
    files.set('proc/loadavg', '0.00 0.00 0.00 1/1 1\n');
    files.set('proc/vmstat', 'nr_foll_pin_acquired 0\nnr_foll_pin_released 0\n');
    const kib = { MemTotal: 1_024_000, MemFree: 1_020_000, KernelStack: 64, PageTables: 64 };
    files.set('proc/meminfo', meminfo(kib));
    return writeCapture(join(folder, `quiet-${++made}`), files);
  }

  test('of a user without root is no all-clear: most processes could not be read', async () => {
    const summary = async (...pids: readonly number[]) => {
      const errors = pids.map((pid) => `/proc/${pid}/fd\tdenied\tx\n`).join('');
      const { stdout } = await kdumpMem('triage', '--from', quiet(errors));
      expect(stdout.includes('Largest holders: none has 1 % of memory')).toBe(true);
      return stdout.split('\n')[0];
    };
    expect(await summary(1, 7, 8, 9)).toMatch(
      /Incomplete: 4 processes could not be read\. Take the snapshot as root\. Completed: /,
    );
    expect(await summary(1)).not.toContain('processes could not be read');
  });

  test.each([
    ['/proc/1/fd', 'sockets', 'denied', 'descriptors of pid 1: permission denied', 'unread sockets of some processes'],
    ['/proc/1/limits', 'processes', 'unreadable', '/proc/1/limits: read failed', expect.any(String)],
  ])('without %s, no findings is no all-clear, although no check needed it', async (path, check, code, why, hides) => {
    const queried = async (errors: string) => {
      const { stdout } = await kdumpMem('triage', '--json', '--from', quiet(errors));
      return triageSchema.parse(JSON.parse(stdout));
    };
    expect((await queried('')).checked).toContain(check);
    // A process that exited is not missing.
    expect((await queried(`${path}\tgone\tx\n`)).checked).toContain(check);
    const lacking = await queried(`${path}\t${code}\tx\n`);
    expect(lacking.checked).not.toContain(check);
    expect(lacking.unread).toContainEqual(expect.objectContaining({ check, why, hides }));
  });

  test('explains a failed allocation with the pageblocks of its zone', async () => {
    const lines = [
      'Linux version 6.12.0',
      'x: page allocation failure: order:3, mode:0xcc0(GFP_KERNEL), nodemask=(null)',
      'Mem-Info:',
      'active_anon:100 inactive_anon:20 isolated_anon:0',
      'Node 0 Normal free:2100kB min:400kB low:500kB high:600kB active_anon:400kB present:8000kB managed:7200kB',
      'lowmem_reserve[]: 0 0',
      'Node 0 Normal: 1*4kB (U) 2*8kB (UE) 0*16kB 1*32kB (H) 2*1024kB (H) = 2100kB',
    ];
    const log = lines.map((line, at) => `4,${at},${9_000_000 + at},-;${line}\n`).join('');
    const types = 'Number of blocks type     Unmovable      Movable  Reclaimable';
    const blocks = (zone: string) => `${types}\nNode 0, zone   ${zone}         1500          200          300\n`;
    const failure = async (changes: Record<string, string>) => {
      const { stdout } = await kdumpMem('triage', '--json', '--from', snapshot({ log, ...changes }));
      const { findings } = triageSchema.parse(JSON.parse(stdout));
      return findings.find(({ code }) => code === 'allocation-failure')?.figures;
    };
    const figures = { zone: 'Normal', pageblocks: 2000, unmovableBlocks: 1500, reclaimableBlocks: 300 };
    expect(await failure({ 'proc/pagetypeinfo': blocks('Normal') })).toMatchObject(figures);
    // Pageblocks of another zone explain nothing.
    expect(await failure({ 'proc/pagetypeinfo': blocks('DMA32') })).not.toHaveProperty('pageblocks');
  });

  test('--baseline reports growth since a snapshot, and without it none is reported', async () => {
    const slab = (kib: number) => meminfo({ MemTotal: 1_024_000, MemFree: 512_000, Slab: kib, SUnreclaim: kib });
    const before = snapshot({ 'proc/meminfo': slab(1000) });
    const changes = { 'proc/meminfo': slab(201_000), 'sample-1/began': '200.00 1.00\n' };
    const ended = { 'sample-2/began': '202.50 1.00\n', 'sample-2/ended': '203.00 1.00\n' };
    const now = snapshot({ ...changes, 'sample-1/ended': '200.50 1.00\n', ...ended });
    const grown = async (...more: string[]) => {
      const { stdout, stderr } = await kdumpMem('triage', '--json', '--from', now, ...more);
      expect(stderr).toBe('');
      const { findings, unread } = triageSchema.parse(JSON.parse(stdout));
      return {
        figures: findings.flatMap((one) => (one.code === 'memory-growth' ? [one.figures] : [])),
        unread: unread.filter(({ check }) => check === 'baseline'),
      };
    };
    expect(await grown()).toEqual({ figures: [], unread: [] });
    const { figures } = await grown('--baseline', before);
    expect(figures).toMatchObject([{ category: 'slab-unreclaimable', grownBytes: 200_000 * 1024, seconds: 100 }]);
    // A snapshot is not older than itself.
    expect((await grown('--baseline', now)).unread).toHaveLength(1);
    const dump = await kdumpMem('triage', '--baseline', before, '--vmcore', 'x');
    expect(dump.status).toBe(2);
  });

  test('growth of shared memory names the file that no process maps', async () => {
    const swap = { SwapTotal: 0, SwapFree: 0 };
    const shared = (kib: number) =>
      meminfo({ MemTotal: 1_024_000, MemFree: 512_000, Cached: kib, Shmem: kib, ...swap });
    const before = snapshot({ 'proc/meminfo': shared(1000) });
    const now = snapshot({
      'proc/meminfo': shared(201_000),
      'files-in-memory': `${200_000 * 1024} 7u memfd:a\nend 1\n`,
      'sample-1/began': '200.00 1.00\n',
      'sample-1/ended': '200.50 1.00\n',
      'sample-2/began': '202.50 1.00\n',
      'sample-2/ended': '203.00 1.00\n',
    });
    const { stdout } = await kdumpMem('triage', '--json', '--from', now, '--baseline', before);
    const { findings } = triageSchema.parse(JSON.parse(stdout));
    const owner = { category: 'shared', pid: 7, file: 'memfd:a', fileBytes: 200_000 * 1024 };
    expect(findings.find(({ code }) => code === 'memory-growth')?.figures).toMatchObject(owner);
  });

  test('--fail-on and --strict set the exit status', async () => {
    const path = snapshot();
    expect((await kdumpMem('triage', '--from', path, '--fail-on', 'oom-kill')).status).toBe(1);
    expect((await kdumpMem('triage', '--from', path, '--fail-on', 'panic')).status).toBe(0);
    const lacking = snapshot({ log: null });
    expect((await kdumpMem('triage', '--from', lacking, '--strict')).status).toBe(5);
  });

  test('--html writes one page with headline, findings and missing data; hostile text is escaped', async () => {
    const name = '<script>x</script>\x1b[2J';
    const path = snapshot({ 'proc/sys/kernel/osrelease': `6.12${name}\n` });
    const page = join(folder, 'page.html');
    const { stdout, status } = await kdumpMem('triage', '--from', path, '--html', page);
    expect([status, stdout]).toEqual([0, expect.stringContaining('open it in a browser')]);
    expect(statSync(page).mode & 0o777).toBe(0o600);
    const text = readFileSync(page, 'utf8');
    const { findings } = JSON.parse((await kdumpMem('triage', '--json', '--from', path)).stdout);
    for (const { code } of findings) expect(text).toContain(`<span class="name">${code}</span>`);
    expect(text).toContain('<h2>Memory</h2>');
    expect(text).toContain('Not checked:');
    expect(text).not.toContain('<script>x');
    expect(text).not.toContain('\x1b');
    const again = await kdumpMem('triage', '--from', path, '--html', page);
    expect(again.status).toBe(2);
    const own = await kdumpMem('triage', '--from', path, '--html', path, '--force');
    expect([own.status, own.stderr]).toEqual([3, expect.stringContaining('not a regular file')]);
  });

  test.each(['--rules=x', '--ndjson', '--similar'])('%s is refused', async (option) => {
    const { status, stderr } = await kdumpMem('triage', '--from', snapshot(), option);
    expect([status, stderr]).toEqual([2, expect.stringContaining('cannot be used')]);
  });
});

describe('a capture that lacks files', () => {
  const textOf = async (files: Readonly<Record<string, string>>) => {
    const path = writeCapture(join(folder, `lacks-${++made}`), new Map(Object.entries(files)));
    return { path, text: (await kdumpMem('triage', '--from', path)).stdout };
  };
  const dmesg = '[    1.000000] Linux version 4.14.180 (x)\n';

  test('names a command that has data, and no holders where none are known', async () => {
    const uname = { 'proc/vmstat': 'nr_free_pages 5\n', 'proc/version': 'Linux version 4.14.180 (x)\n' };
    const withLog = await textOf({ ...uname, 'sos_commands/kernel/dmesg': dmesg });
    expect(withLog.text).toContain(`Next: kdump-mem log --from ${withLog.path}`);
    const { text } = await textOf(uname);
    expect(text).toMatch(/Memory could not be computed: .*\. The kernel log was not captured\. /);
    expect(text).not.toContain('Next:');
    expect(text).not.toContain('Largest holders');
  });

  test('does not state memory reserved at boot without zones', async () => {
    const { text } = await textOf({ 'proc/meminfo': meminfo({}), 'sos_commands/kernel/dmesg': dmesg });
    expect(text).toContain('kernel, without memory reserved at boot.');
    expect(text).not.toContain('Largest holders');
  });
});

describe('logs beside the log of a capture', () => {
  const PANIC = [
    '<6>[    0.000000] Linux version 6.12.0 (x@y) #1 SMP',
    '<4>[  100.000000] x invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0',
    `<3>[  100.000001] ${OOM}`,
  ];

  const answerOf = async (files: Readonly<Record<string, string>>) => {
    const path = writeCapture(join(folder, `logs-${++made}`), new Map(Object.entries(files)));
    const { stdout } = await kdumpMem('triage', '--json', '--from', path);
    return triageSchema.parse(JSON.parse(stdout));
  };
  const kills = ({ findings }: Awaited<ReturnType<typeof answerOf>>) =>
    findings.filter(({ code }) => code === 'oom-kill').map(({ figures }) => figures);

  test('joins records of pstore into one log, in order', async () => {
    const answer = await answerOf({
      'dmesg-efi-170123456701001': `Panic#1 Part1\n${PANIC[2]}\n`,
      'dmesg-efi-170123456702001': `Panic#1 Part2\n${PANIC.slice(0, 2).join('\n')}\n`,
    });
    expect(kills(answer)).toMatchObject([{ invokedBy: 'x', pid: 7, comm: 'grows', log: 'dmesg-*' }]);
    expect(answer.complete).toBe(false);
  });

  test('reports a missing part of pstore', async () => {
    const { warnings } = await answerOf({ 'dmesg-efi-170123456702001': `Panic#1 Part2\n${PANIC[2]}\n` });
    expect(warnings.map(({ message }) => message)).toContain('dmesg-*: missing Panic#1 Part1');
  });

  test.each([
    ['a folder of kdump', 'vmcore-dmesg.txt'],
    ['a folder of kdump (Debian)', 'dmesg.202611221104'],
    ['systemd-pstore', 'var/lib/systemd/pstore/1701234567/dmesg.txt'],
    ['supportconfig', 'boot.txt'],
    ['the journal of a sosreport', 'sos_commands/logs/journalctl_--no-pager_--boot'],
    ['syslog of a sosreport', 'var/log/messages'],
  ])('%s', async (_, name) => {
    const text = `#==[ Command ]======#\n# /bin/dmesg\n${PANIC.join('\n')}\n`;
    expect(kills(await answerOf({ [name]: text }))).toMatchObject([{ pid: 7, log: name }]);
  });

  test('reports a finding of both logs once, and distinguishes other boots', async () => {
    const later = PANIC.map((line) => line.replace('process 7', 'process 8'));
    const answer = await answerOf({
      'sos_commands/kernel/dmesg': `${later.map((line) => line.slice(3)).join('\n')}\n`,
      'sos_commands/logs/journalctl_--no-pager_--boot': `${later.join('\n')}\n`,
      'var/log/messages': `${[...PANIC, ...later].join('\n')}\n`,
    });
    expect(kills(answer)).toMatchObject([
      { pid: 8, times: 1 },
      { pid: 7, boot: -1, boots: 2, log: 'var/log/messages' },
    ]);
  });

  test('says which findings are of earlier boots', async () => {
    const log = join(folder, 'boots.log');
    const boot = (...lines: readonly string[]) => ['[ 0.000000] Linux version 6.18.44 (a@b) #1 SMP', ...lines];
    const oops = boot('[ 5.000000] Oops: 0000 [#1] SMP');
    const triage = async (lines: readonly string[]) => {
      writeFileSync(log, `${lines.join('\n')}\n`);
      return (await kdumpMem('triage', log)).stdout;
    };
    const quiet = boot('[ 1.000000] eth0: link up');
    const earlier = await triage([...oops, ...quiet, ...quiet]);
    expect(earlier).toContain('1 critical. Before the last boot in the log: 1 critical.');
    expect(earlier).toMatch(/^Next: kdump-mem log --since 0 --boot -2 /m);
    expect(earlier).toContain('Boot -2: 2 before the last of 3 in the log.');
    const twice = await triage([...oops, ...boot('[ 5.000000] Oops: 0001 [#1] SMP')]);
    expect(twice).toContain('2 critical. Before the last boot in the log: 1 critical.');
    expect(twice).toContain('In the last boot of 2 in the log.');
    expect(await triage(oops)).not.toMatch(/last boot/);
  });
});
