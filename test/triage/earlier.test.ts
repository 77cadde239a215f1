import { describe, expect, test } from 'vitest';
import { triageJson } from '../../src/answers/triage/json.js';
import { triageText } from '../../src/answers/triage/text.js';
import { findingWords } from '../../src/answers/triage/words.js';
import { suggestionsOf } from '../../src/app/mcp/call.js';
import { triageSchema } from '../../src/contracts/triage.js';
import { TextLogReader } from '../../src/log/reader.js';
import type { LogRecord } from '../../src/records/log-records.js';
import { triageHost } from '../../src/triage/captured.js';
import type { Finding } from '../../src/triage/finding.js';
import { HostReader } from '../../src/triage/host-reader.js';
import { LogFindings } from '../../src/triage/log/log-findings.js';
import { madeSource } from '../support/made-host.js';

const record = (seconds: number, text: string): LogRecord => ({
  seq: seconds,
  timestamp: BigInt(seconds) * 1_000_000_000n,
  level: 3,
  facility: 0,
  caller: null,
  comm: '',
  subsystem: '',
  device: '',
  text,
});

const KILL = (seconds: number, group = '/batch') => [
  record(seconds, 'sh invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0'),
  record(
    seconds,
    `oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=${group},task_memcg=${group},task=job,pid=77,uid=0`,
  ),
  record(
    seconds,
    'Memory cgroup out of memory: Killed process 77 (job) total-vm:9000kB, anon-rss:8000kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:52kB oom_score_adj:0',
  ),
];
/** The machine was out of memory; the victim was in this cgroup. */
const GLOBAL = (seconds: number, group: string) =>
  KILL(seconds).map(({ text, ...line }) => ({
    ...line,
    text: text
      .replace(/CONSTRAINT_MEMCG(.*),oom_memcg=.*,task=/, `CONSTRAINT_NONE$1,global_oom,task_memcg=${group},task=`)
      .replace('Memory cgroup out', 'Out'),
  }));
const HUNG = (pid: number, comm: string, at = 900) =>
  record(at, `INFO: task ${comm}:${pid} blocked for more than 120 seconds.`);

const status = (state: string) => `Name:\tx\nState:\t${state} (x)\nPPid:\t1\nFDSize:\t64\nThreads:\t1\n`;
const FILES = {
  '/proc/uptime': '1000.00 900.00\n',
  '/proc/1/status': status('S'),
  '/proc/1/comm': 'init\n',
  '/sys/fs/cgroup/cgroup.procs': '1\n',
};

interface Parts {
  readonly files?: Readonly<Record<string, string>>;
  readonly found?: readonly Finding[];
  readonly historyUntil?: number;
  /** The pid namespace. */
  readonly pids?: string;
  readonly isLive?: boolean;
  readonly denied?: readonly string[];
}

function triaged(
  records: readonly LogRecord[],
  { files = {}, found = [], historyUntil, pids = '4026531836', isLive = true, denied = [] }: Parts = {},
) {
  const links = { '/proc/self/ns/pid': `pid:[${pids}]` };
  const live = isLive ? { file: () => ({}) as never } : {};
  const answer = triageHost({
    of: { host: 'web-7', takenAt: null, isCaptured: false, release: '6.1.0' },
    pageSize: 4096,
    log: { records, overwritten: 0, noRoom: 0, complete: true, warnings: [] } as never,
    memory: 'not counted',
    found,
    reader: new HostReader({ ...madeSource({ files: { ...FILES, ...files }, links, denied }), ...live }, 4096),
    warnings: [],
    historyUntil,
  });
  const text = triageText(answer, { width: null, source: '--live' });
  return { answer, text, lines: text.split('\n'), json: triageSchema.parse(triageJson(answer)) };
}

const LOW: Finding = {
  code: 'fragmentation',
  severity: 'note',
  figures: { zone: 'Normal', node: 0, freeBytes: 9, order: 3, compactStalls: 1, compactFails: 0 },
  evidence: [],
  next: 'memory --nodes',
};

describe('an OOM kill of a cgroup 5 minutes ago', () => {
  test('stands below what is true now, with its age, and its cgroup is gone', () => {
    const { lines, text, json } = triaged(KILL(700), { found: [LOW] });
    expect(lines[0]).toContain(
      'No critical findings or warnings, 1 note, but 1 of 2 checks could not be completed. Completed: log. Earlier: 1 warning (oom-kill, about 5 min ago).',
    );
    expect(text).not.toContain('Probable cause');
    const [low, earlier] = ['[fragmentation]', '\nEarlier:\n'].map((part) => text.indexOf(part));
    expect(low).toBeGreaterThan(0);
    expect(earlier).toBeGreaterThan(low!);
    expect(text.slice(earlier)).toContain(
      'That was about 5 min ago; the machine continued to run. The cgroup is gone.',
    );
    // Its report shows more than what is only a note.
    expect(lines.slice(-2)).toEqual([
      expect.stringMatching(/^To do about the earlier \[oom-kill\]: That cgroup is gone\. Find out what ran in it/),
      'Next: kdump-mem triage -v --live',
    ]);
    expect(text).toContain('\n          More: kdump-mem memory --nodes --live\n');
    expect(json.findings.map(({ code, past }) => [code, past])).toEqual([
      ['fragmentation', undefined],
      ['oom-kill', true],
    ]);
    expect(json.findings[1]?.figures).toMatchObject({ secondsAgo: 300, subject: 'gone' });
    expect(json.conclusion).toBeNull();
    expect(suggestionsOf(JSON.parse(JSON.stringify(json)))).toEqual(['memory --nodes']);
  });

  test('says when the last of several was', () => {
    const { lines, text } = triaged([...KILL(100), ...KILL(700), ...KILL(880, '/other')]);
    expect(lines[0]).toContain('Earlier: 2 warnings (oom-kill, the last about 2 min ago).');
    expect(text).toContain(
      'The OOM killer chose processes of this name 2 times in this cgroup, the last time about 5 min ago; the machine continued to run.',
    );
    expect(text).toContain('That was about 2 min ago; the machine continued to run.');
  });

  test('makes no error of lines of a file system that follow it', () => {
    const lines = ['EXT4-fs (loop0): mounted filesystem r/w.', 'EXT4-fs (loop0): unmounting filesystem.'];
    const after = lines.map((line) => record(701, line));
    expect(triaged([...KILL(700), ...after]).answer.findings.map(({ code }) => code)).toEqual(['oom-kill']);
  });

  test('alone leads to its report', () => {
    const { lines, answer } = triaged(KILL(700));
    expect(answer.findings).toHaveLength(1);
    expect(lines.at(-1)).toBe('Next: kdump-mem triage -v --live');
  });

  test('is present as long as it is less than a minute old', () => {
    const { lines, json } = triaged(KILL(960), { files: { '/sys/fs/cgroup/batch/cgroup.procs': '9\n' } });
    expect(lines[0]).toContain('1 warning, and possibly more');
    expect(lines[0]).not.toContain('Earlier');
    expect(json.findings[0]?.figures).toMatchObject({ secondsAgo: 40, subject: 'present' });
    expect(json.findings[0]?.past).toBeUndefined();
  });

  test.each<[string, Parts]>([
    ['a container, which shows other cgroups', { files: { '/sys/fs/cgroup/cgroup.type': 'domain\n' } }],
    ['a snapshot, which may lack it', { isLive: false }],
  ])('is not called gone in %s', (_, parts) => {
    expect(triaged(KILL(700), parts).json.findings[0]?.figures.subject).toBeUndefined();
  });

  test('does not stand twice: its kills are those of the counter', () => {
    const kills = (count: number, cgroup: string | null): Finding => ({
      code: 'oom-kills',
      severity: 'note',
      figures: { kills: count, cgroup },
      evidence: [],
    });
    const codes = (found: Finding[]) => triaged(KILL(700), { found }).answer.findings.map(({ code }) => code);
    expect(codes([kills(1, null), kills(1, '/batch')])).toEqual(['oom-kill']);
    // The log lacks one of these.
    expect(codes([kills(2, null)])).toEqual(['oom-kill', 'oom-kills']);
    expect(codes([kills(1, '/other')])).toEqual(['oom-kill', 'oom-kills']);
    const ofMachine = (found: Finding[]) => triaged(GLOBAL(700, '/batch'), { found }).answer.findings;
    expect(ofMachine([])).toMatchObject([{ code: 'oom-kill', figures: { scope: 'machine', victimCgroup: '/batch' } }]);
    expect(ofMachine([kills(1, '/batch')])).toHaveLength(1);
    expect(ofMachine([kills(1, '/other')])).toHaveLength(2);
  });
});

describe('a hung task', () => {
  const finding = (files: Readonly<Record<string, string>>) => triaged([HUNG(9, 'nfs')], { files }).json.findings[0];

  test('that waits still is a present problem', () => {
    const found = finding({ '/proc/9/status': status('D'), '/proc/9/comm': 'nfs\n' });
    expect(found).toMatchObject({ figures: { secondsAgo: 100, subject: 'present' } });
    expect(found?.past).toBeUndefined();
    expect(found?.words).toContain('The log reported it 100 s ago.');
  });

  test('of a container that shows other pids is not called gone', () => {
    const [found] = triaged([HUNG(9, 'nfs')], { pids: '4026532999' }).json.findings;
    expect(found?.figures.subject).toBeUndefined();
    expect(found?.past).toBeUndefined();
  });

  test.each([
    ['kworker/0:1', 'kworker/0:1-events'],
    ['kworker/u8:2', 'kworker/u8:2+flush-259:0'],
    ['jbd2/nvme0n1p2-', 'jbd2/nvme0n1p2-8'],
    ['Web Content ', 'Web Content '],
  ])('with the name %j is present, though /proc prints %j', (logged, name) => {
    const files = { '/proc/9/status': status('D'), '/proc/9/comm': `${name}\n` };
    const [found] = triaged([HUNG(9, logged)], { files }).json.findings;
    expect(found?.figures.subject).toBe('present');
    expect(found?.past).toBeUndefined();
  });

  test('is not called gone if its process may not be read', () => {
    const denied = ['/proc/9/status', '/proc/9/comm'];
    const [found] = triaged([HUNG(9, 'nfs')], { denied }).json.findings;
    expect(found?.figures.subject).toBeUndefined();
    expect(found?.past).toBeUndefined();
  });

  test('that hangs since before the baseline is present', () => {
    const files = { '/proc/9/status': status('D'), '/proc/9/comm': 'nfs\n' };
    const [found] = triaged([HUNG(9, 'nfs')], { files, historyUntil: 950 }).json.findings;
    expect(found?.past).toBeUndefined();
  });

  test.each([
    ['that runs again', 'running', { '/proc/9/status': status('S'), '/proc/9/comm': 'nfs\n' }],
    ['whose process has exited', 'gone', {}],
    ['whose pid another process has', 'gone', { '/proc/9/status': status('D'), '/proc/9/comm': 'other\n' }],
  ])('%s is a past event', (_, subject, files) => {
    expect(finding(files)).toMatchObject({ past: true, figures: { subject } });
  });

  describe('of hours ago, of a process that is not visible', () => {
    const settings = (timeout: number, warnings: number) => ({
      '/proc/uptime': '9000.00 900.00\n',
      '/proc/sys/kernel/hung_task_timeout_secs': `${timeout}\n`,
      '/proc/sys/kernel/hung_task_warnings': `${warnings}\n`,
    });
    const elsewhere = (files: Readonly<Record<string, string>>, at = 900, found: readonly Finding[] = []) =>
      triaged([HUNG(9, 'nfs', at)], { files, found, pids: '4026532999' });

    test('is over if the kernel would have reported it again', () => {
      const { text, json } = elsewhere(settings(120, 2));
      expect(json.findings).toMatchObject([{ past: true, severity: 'warning', figures: { subject: 'unrepeated' } }]);
      expect(text).toContain(
        'That was about 2 h ago; the machine continued to run. The kernel has not reported it again.',
      );
      expect(elsewhere(settings(120, -1)).json.findings[0]?.past).toBe(true);
    });

    test.each([
      ['without warnings left', settings(120, 0)],
      ['with the detector turned off', settings(0, 2)],
      ['without these settings', { '/proc/uptime': '9000.00 900.00\n' }],
    ])('may still hang %s, and follows what is true now', (_, files) => {
      const { lines, text, json } = elsewhere(files, 900, [LOW]);
      expect(json.findings.map(({ code, severity, past }) => [code, severity, past])).toEqual([
        ['fragmentation', 'note', undefined],
        ['hung-task', 'note', undefined],
      ]);
      expect(lines[0]).toMatch(/No critical findings or warnings, 2 notes/);
      expect(text.indexOf('[fragmentation]')).toBeLessThan(text.indexOf('[hung-task]'));
      expect(text).toContain('The log reported it 2 h ago. Whether the task still hangs is unknown.');
      expect(lines.at(-1)).toBe('Next: kdump-mem memory --nodes --live');
    });

    test('is present as long as a report may follow', () => {
      const [found] = elsewhere(settings(3600, 2), 2000).json.findings;
      expect(found).toMatchObject({ severity: 'warning', figures: { secondsAgo: 7000 } });
      expect([found?.past, found?.figures.subject]).toEqual([undefined, undefined]);
    });
  });

  test('that is over has one line with the others of its kind; the JSON has each', () => {
    const { text, json } = triaged([8, 9, 10].map((pid) => HUNG(pid, 'nfs')));
    expect(text.match(/Hung task: /g)).toHaveLength(1);
    expect(text).toContain('2 more tasks hung. -v lists them.');
    expect(json.findings).toHaveLength(3);
  });
});

test('events before a baseline are history', () => {
  const oops = record(500, 'BUG: kernel NULL pointer dereference, address: 0000000000000010');
  expect(triaged([oops]).answer.findings[0]?.past).toBeUndefined();
  expect(triaged([oops], { historyUntil: 600 }).answer.findings[0]?.past).toBe(true);
  expect(triaged([oops], { historyUntil: 400 }).answer.findings[0]?.past).toBeUndefined();
});

describe('the age of an event is unknown, and it is present', () => {
  test.each<[string, LogRecord[], Parts]>([
    ['without an uptime', KILL(700), { files: { '/proc/uptime': '' } }],
    ['with an uptime far below its time', KILL(1100), {}],
    ['after a suspend, which only the uptime counts', [record(600, 'PM: suspend exit'), ...KILL(700)], {}],
    ['after a suspend, with a baseline', [record(600, 'PM: suspend exit'), ...KILL(700)], { historyUntil: 800 }],
    ['after a hibernation', [...KILL(700), record(701, 'PM: hibernation: hibernation exit')], {}],
  ])('%s', (_, records, parts) => {
    const { lines, json } = triaged(records, parts);
    expect(lines[0]).not.toContain('Earlier');
    expect(json.findings[0]).toMatchObject({ code: 'oom-kill', severity: 'warning' });
    expect(json.findings[0]?.past).toBeUndefined();
    expect(json.findings[0]?.figures.secondsAgo).toBeUndefined();
  });
});

describe('a log read alone', () => {
  const read = (after: readonly number[]) => {
    const findings = new LogFindings(4096);
    const reader = new TextLogReader(findings);
    const others = after.map((seconds) => record(seconds, 'usb 1-1: new device'));
    const lines = [...KILL(1000), ...others].map(({ seq, text }) => `[${String(seq).padStart(5)}.000000] ${text}\n`);
    reader.push(Buffer.from(lines.join('')));
    return findings.finish(reader.end()).find(({ code }) => code === 'oom-kill');
  };

  test('says how long before its end a kill was', () => {
    const finding = read([1001, 2800]);
    expect(finding?.figures.secondsBeforeEnd).toBe(1800);
    expect(finding && findingWords(finding)).toContain(
      'That was about 30 min before the end of the log; the machine continued to run.',
    );
  });

  test.each([[[]], [[1059]]])('with %j after it shows nothing of what followed', (after) => {
    const finding = read(after);
    expect(finding?.figures.secondsBeforeEnd).toBeUndefined();
    expect(finding && findingWords(finding)).not.toContain('before the end');
  });

  test('of several boots: the end of its own', () => {
    expect(read([1500, 3, 9000])?.figures.secondsBeforeEnd).toBe(500);
  });
});
