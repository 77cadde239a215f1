import { expect, test } from 'vitest';
import { triageJson } from '../../../src/answers/triage/json.js';
import { oomLines } from '../../../src/answers/triage/oom.js';
import { triageText } from '../../../src/answers/triage/text.js';
import { triageSchema } from '../../../src/contracts/triage.js';
import { textRecords } from '../../../src/log/reader.js';
import type { KernelTriage } from '../../../src/triage/answer.js';
import type { Finding } from '../../../src/triage/finding.js';
import { logFindings } from '../../../src/triage/log/log-findings.js';
import { triageText as triageLogs } from '../../../src/triage/text.js';
import { answerOf } from '../memory/answer.js';

const HOSTILE = 'a\u001b[31m\nb';

const FINDINGS: readonly Finding[] = [
  {
    code: 'oom-kill',
    severity: 'critical',
    figures: {
      scope: 'machine',
      pid: 7,
      comm: HOSTILE,
      victimAnonBytes: 2 ** 30,
      times: 3,
      victimCgroup: '/a\n',
      victimRssBytes: 2 ** 31,
      ramBytes: 2 ** 33,
      largestPid: 9,
      largestComm: 'java',
      largestRssBytes: 3 * 2 ** 30,
      managedBytes: 8 * 2 ** 30,
      unattributedBytes: 2 * 2 ** 30,
    },
    evidence: [{ kind: 'log', seq: 4, timestamp: 1_234_567_000n, text: HOSTILE }],
    next: 'procs',
  },
  {
    code: 'blocked-tasks',
    severity: 'warning',
    figures: { tasks: 9, pid: 3, comm: 'nfs', symbol: 'rpc_wait' },
    evidence: [
      {
        kind: 'stack',
        end: 'user',
        why: null,
        code: null,
        at: null,
        frames: Array.from({ length: 30 }, (_, index) => ({
          address: 0xffff_ffff_8100_0000n + BigInt(index),
          interrupted: false,
          guess: false,
          symbol: `step_${index}`,
          offset: 16,
          module: null,
        })),
      },
    ],
    next: 'stacks --state D',
  },
  { code: 'tainted', severity: 'note', figures: { mask: 4096 }, evidence: [], next: 'info' },
];

const answer = (more: Partial<KernelTriage> = {}): KernelTriage => ({
  kernel: {
    release: '6.1.0',
    arch: 'x86_64',
    pageSize: 4096,
    live: false,
    source: 'vmcore',
    engine: 'native',
  } as KernelTriage['kernel'],
  machine: { panic: { state: 'running', logRead: true }, running: [] },
  findings: FINDINGS,
  lost: { overwritten: 0, noRoom: 0 },
  log: undefined,
  memory: undefined,
  census: undefined,
  warnings: [],
  complete: true,
  ...more,
});

const text = (options: Partial<Parameters<typeof triageText>[1]> = {}, more = {}) =>
  triageText(answer(more), { width: 80, source: '--vmcore v', ...options });

test('fits 80 columns, and escapes text from the dump', () => {
  for (const verbose of [undefined, true] as const)
    for (const line of text({ verbose }).split('\n')) {
      expect(line.length).toBeLessThanOrEqual(80);
      expect(line).not.toContain('\u001b');
    }
});

test('the summary comes first, then the worst finding, then the next command', () => {
  const lines = text({ width: null }).split('\n');
  expect(lines[0]).toBe('Linux 6.1.0, no panic. 1 critical, 1 warning, 1 note.');
  expect(lines[2]).toBe(
    'CRITICAL  OOM killer killed pid 7 (a\\x1b[31m\\x0ab), which had 1.00 GiB of anonymous memory (RSS 2.00 GiB, 25 % of memory) [oom-kill]',
  );
  expect(lines[3]).toBe(
    '          The victim was in cgroup /a\\x0a. The whole machine was out of memory. The largest process was pid 9 (java), 3.00 GiB. 2.00 GiB is missing from the report, which does not count socket buffers and driver pages. The OOM killer chose processes of this name 3 times.',
  );
  expect(lines[4]).toBe('          [    1.234567] a\\x1b[31m\\x0ab');
  expect(lines.at(-1)).toBe('Next: kdump-mem procs --vmcore v');
});

test('truncates a long stack with a note, and prints all of it with -v', () => {
  expect(text()).toContain('… 19 more (-v)');
  expect(text()).not.toContain('step_29');
  expect(text({ verbose: true })).toContain('step_29+0x10');
  expect(text({ verbose: true })).toContain('More: kdump-mem stacks --state D --vmcore v');
});

test('reports missing data', () => {
  expect(text({}, { findings: [], checked: ['log', 'memory'] })).toContain(
    'No problems found. All checks were completed.',
  );
  expect(text({ verbose: true }, { checked: ['log', 'memory'] })).toContain('\nChecked: log, memory.\n');
  expect(text({}, { findings: [], complete: false })).toContain('No findings, but some data could not be read');
  const machine = { panic: { state: 'unknown', logRead: true }, running: [] };
  expect(text({}, { findings: [], machine })).toContain('unknown. No findings, but');
  expect(text({}, { complete: false })).toMatch(
    /1 critical, 1 warning, 1 note, and possibly more:\s+some\s+data\s+could\s+not\s+be\s+read/,
  );
  expect(text({}, { lost: undefined })).toContain('The kernel log is not available');
  const lost = { overwritten: 12, noRoom: 3 };
  const gone = text({}, { findings: [], lost });
  expect(gone).toContain('its oldest 12 messages were overwritten');
  expect(gone).toContain('The kernel log is incomplete: it had no room for 3 messages.');
  expect(gone).not.toContain('No problems found.');
});

test('a dump of which nothing could be read is no dump without findings, and leads nowhere', () => {
  const machine = { panic: { state: 'unknown', logRead: false }, running: [] };
  const unread = { findings: [], complete: false, lost: undefined, machine };
  const lines = text({ width: null }, unread).split('\n');
  expect(lines[0]).toContain('unknown. This dump could not be judged: its log, its memory and its state could not');
  expect(lines.join('\n')).not.toContain('Next:');
  expect(text({ width: null }, { ...unread, logBeside: 'vmcore-dmesg.txt' })).toMatch(
    /Next: kdump-mem log --vmcore v$/,
  );
  const withLog = text({ width: null }, { ...unread, lost: { overwritten: 0, noRoom: 0 } });
  expect(withLog).toContain('No findings, but some data');
  expect(withLog).toMatch(/Next: kdump-mem log --vmcore v$/);
});

test('a panic without its reason leads nowhere: another finding is the first to look at', () => {
  const figures = { pid: 7, comm: 'a', sockets: 2, pinnedBytes: 9, share: 0.3, payloadBytes: 1, skbs: 1 };
  const panic = (reason: string | null): Finding => {
    return { code: 'panic', severity: 'critical', figures: { reason }, evidence: [], next: 'stacks --cpu 1' };
  };
  const next = (reason: string | null, severity: Finding['severity']) => {
    const queued: Finding = { code: 'queued-data-of-process', severity, figures, evidence: [], next: 'skb --pid 7' };
    return text({ width: null }, { findings: [panic(reason), queued] })
      .split('\n')
      .at(-1);
  };
  expect(next(null, 'warning')).toBe('Next: kdump-mem skb --pid 7 --vmcore v');
  expect(next(null, 'note')).toBe('Next: kdump-mem stacks --cpu 1 --vmcore v');
  expect(next('Fatal exception', 'warning')).toBe('Next: kdump-mem stacks --cpu 1 --vmcore v');
});

test('memory is not called enough beside a problem of memory', () => {
  const [enough, little] = [
    { 'free-buddy': 500, anonymous: 500 },
    { 'free-buddy': 1, anonymous: 999 },
  ].map((frames) => answerOf(frames));
  const [problem, note] = [FINDINGS.slice(0, 1), FINDINGS.slice(2)];
  const first = (memory: typeof enough, findings: readonly Finding[]) =>
    /^Memory[^:]*:/m.exec(text({ width: null }, { memory, findings }))?.[0];
  expect([first(enough, note), first(enough, [])]).toEqual(['Memory is not short:', 'Memory is not short:']);
  expect(first(enough, problem)).toBe('Memory:');
  const panic = (reason: string | null): Finding[] => [
    { code: 'panic', severity: 'critical', figures: { reason }, evidence: [], next: 'log' },
  ];
  expect(first(enough, panic('sysrq triggered crash'))).toBe('Memory is not short:');
  for (const reason of ['System is deadlocked on memory', null]) expect(first(enough, panic(reason))).toBe('Memory:');
  expect(first(enough, [...panic(null), ...problem])).toBe('Memory:');
  expect([first(little, note), first(little, problem)]).toEqual(['Memory is short:', 'Memory is short:']);
  // What is over does not make it short now.
  expect(
    first(
      enough,
      problem.map((finding) => ({ ...finding, past: true as const })),
    ),
  ).toBe('Memory is not short:');
});

test('one process that could not be read is a dim line, two are not', () => {
  const lines = (processes: number, findings: readonly Finding[] = []) => {
    const unread = [{ check: 'processes', code: 'denied', why: 'permission denied', hides: 'zombies', processes }];
    const host = { host: 'web', takenAt: null, isCaptured: false, release: '', uptimeSeconds: 9 };
    const paint = (style: string, words: string) => `<${style}>${words}</>`;
    const more = { kernel: undefined, machine: undefined, host, findings, complete: false, unread, checked: [] };
    return text({ width: null, paint }, more).split('\n');
  };
  expect(lines(1)[0]).toMatch(/No problems found in what could be read\./);
  expect(lines(1)[2]).toBe('<dim>Not checked: zombies (permission denied).</>');
  const note: Finding = { code: 'pipes', severity: 'note', figures: {}, evidence: [], next: 'memory' };
  expect(lines(1, [note])[0]).toMatch(/No critical findings or warnings, 1 note in what could be read\.$/);
  expect(lines(2)[0]).toMatch(/Incomplete: 2 processes could not be read\. Run as root\./);
  expect(lines(2).join('\n')).not.toContain('<dim>');
});

test('an OOM kill names the largest remaining process of the same name', () => {
  const task = (pid: number, rssBytes: number, name = 'worker') => ({ pid, rssBytes, name });
  const tasks = [task(7, 9 << 20), task(8, 1 << 20), task(9, 2 << 20), task(5, 8 << 20, 'x')];
  const left = (victims: readonly number[], figures: object) => {
    const oom = { byName: [], memcgs: [], tasks, victims: victims.map((pid) => ({ pid })) };
    const all = { outcome: 'killed', victims: victims.length, comm: 'worker', ...figures };
    return oomLines({ oom, figures: all } as unknown as Finding, null, false);
  };
  expect(left([7], {})).toEqual([
    'At that time others of the same name still ran: pid 9, RSS 2.00 MiB and at least 1 more.',
  ]);
  expect(left([7, 9], {})).toEqual(['At that time others of the same name still ran: pid 8, RSS 1.00 MiB.']);
  // Not all tasks are listed: the count of the name has those that are not.
  const byName = [{ name: 'worker', tasks: 40 }];
  const listed = { byName, memcgs: [], tasks, victims: [{ pid: 7, comm: 'worker' }] };
  const figures = { outcome: 'killed', victims: 1, comm: 'worker' };
  expect(oomLines({ oom: listed, figures } as unknown as Finding, null, false).at(-1)).toBe(
    'At that time others of the same name still ran: pid 9, RSS 2.00 MiB and 38 more.',
  );
  const both = {
    ...listed,
    byName: [{ name: 'worker', tasks: 3 }],
    victims: [7, 9].map((pid) => ({ pid, comm: 'worker' })),
  };
  expect(oomLines({ oom: both, figures: { ...figures, victims: 2 } } as unknown as Finding, null, false).at(-1)).toBe(
    'At that time others of the same name still ran: pid 8, RSS 1.00 MiB.',
  );
  // Not all victims are known.
  expect(left([7], { victims: 2 })).toEqual([]);
  expect(left([7], { comm: 'other' })).toEqual([]);
});

test('JSON contains everything and conforms to its schema', () => {
  const json = triageSchema.parse(JSON.parse(JSON.stringify(triageJson(answer()))));
  expect(json.findings[0]).toMatchObject({
    code: 'oom-kill',
    figures: { comm: HOSTILE, times: 3 },
    evidence: [{ kind: 'log', seq: 4, timestampMicroseconds: 1_234_567, text: HOSTILE }],
  });
  expect(json.findings[1]?.evidence[0]).toMatchObject({ kind: 'stack', end: 'user', why: null });
  expect(json).toMatchObject({ memory: null, nodename: null, uptimeSeconds: null });
});

test('reports the unread sockets of a process once, and all of them with -v', () => {
  const stalled = (fd: number, pid: number, doing = 'polling'): Finding => ({
    code: 'stalled-reader',
    severity: 'note',
    figures: {
      pid,
      comm: 'worker',
      fd,
      doing,
      symbol: 'ep_poll',
      ageSeconds: 60,
      windowBytes: 9,
      pinnedBytes: 2 ** 20,
      unreadBytes: 100,
      holders: 1,
      threads: 1,
    },
    evidence: [],
    next: `stacks --pid ${pid}`,
  });
  const many = [stalled(4, 7), stalled(5, 7), stalled(6, 8), stalled(7, 7), stalled(8, 7, 'running')];
  const short = text({ width: null }, { findings: many });
  expect(short.match(/stalled-reader/g)).toHaveLength(3);
  expect(short).toContain(
    'is not reading 3 sockets, fd 4 among them [stalled-reader]\n          In fd 4, 100 B is queued',
  );
  expect(short).toContain('\n          The others are fd 5, 7. -v lists them.\n');
  expect(text({ width: null, verbose: true }, { findings: many }).match(/stalled-reader/g)).toHaveLength(5);
  // The last finding stands for others that are not listed.
  const cut = [...many.slice(0, 2), { ...stalled(9, 7), figures: { ...stalled(9, 7).figures, others: 30 } }];
  const shortened = text({ width: null }, { findings: cut });
  expect(shortened.match(/stalled-reader/g)).toHaveLength(2);
  expect(shortened).toContain('The other is fd 5. -v lists it.');
  // All of those are of the same process.
  const own = { ...stalled(9, 7), figures: { ...stalled(9, 7).figures, others: 30, othersPid: 7 } };
  const merged = text({ width: null }, { findings: [...many.slice(0, 2), own] });
  expect(merged).toContain('is not reading 33 sockets, fd 4 among them [stalled-reader]');
  expect(merged).toContain('\n          The others include fd 5, 9. -v lists 2 of them.\n');
  const ofOther = { ...own, figures: { ...own.figures, othersPid: 8 } };
  expect(text({ width: null }, { findings: [...many.slice(0, 2), ofOther] })).toContain('2 sockets, fd 4 among them [');
});

test('a queue does not repeat what the finding of its reader says to do', () => {
  const of = { pid: 7, comm: 'a', pinnedBytes: 9, share: 0.02, payloadBytes: 1, sockets: 2, ageSeconds: 20, fd: 3 };
  const note = (code: Finding['code'], figures: Finding['figures']): Finding => ({
    code,
    severity: 'note',
    figures: { ...of, ...figures },
    evidence: [],
    next: 'skcheck',
  });
  const urgent = (reader: Finding['figures'], sockets = 2) => {
    const host = { isCaptured: false } as unknown as KernelTriage['host'];
    const memory = answerOf({ 'free-buddy': 500, anonymous: 500 });
    const findings = [
      note('queued-data-of-process', { sockets }),
      note('stalled-reader', { doing: 'polling', sockets: null, ...reader }),
    ];
    return text({ width: null }, { findings, host, memory } as Partial<KernelTriage>).match(/Not urgent: \w+/g);
  };
  expect(urgent({})).toEqual(['Not urgent: Ask']);
  expect(urgent({ pid: 8 })).toEqual(['Not urgent: If', 'Not urgent: Ask']);
  // Nothing is said there.
  expect(urgent({ doing: null })).toEqual(['Not urgent: If']);
  // Another queue has most of the memory.
  expect(urgent({ pinnedBytes: 4 })).toEqual(['Not urgent: Ask']);
  expect(urgent({ pinnedBytes: 4 }, 3)).toEqual(['Not urgent: If', 'Not urgent: Ask']);
});

test('of a capture, whether the cgroup of an OOM kill still exists comes first', () => {
  const toDo = (isCaptured: boolean, more: Finding['figures'] = {}) => {
    const figures = {
      scope: 'cgroup',
      reason: 'memcg',
      outcome: 'killed',
      pid: 9,
      comm: 'a',
      secondsAgo: 300,
      ...more,
    };
    const kill: Finding = { code: 'oom-kill', severity: 'warning', past: true, figures, evidence: [], next: 'procs' };
    const host = { isCaptured, takenAt: null, host: 'a', release: '6.1.0' } as unknown as KernelTriage['host'];
    return /^To do: (.*)/m.exec(text({ width: null }, { findings: [kill], host } as Partial<KernelTriage>))?.[1];
  };
  const first = 'First check whether the cgroup still exists, which this file does not show. ';
  expect(toDo(true)).toMatch(new RegExp(`^${first}Find what grew`));
  expect(toDo(false)).toMatch(/^Find what grew/);
  expect(toDo(true, { subject: 'gone' })).toMatch(/^That cgroup is gone/);
});

test('a crash that a process requested names it', () => {
  const of = (figures: Finding['figures']) =>
    text({ width: null }, { findings: [{ code: 'panic', severity: 'critical', figures, evidence: [], next: 'log' }] });
  const requested = { reason: 'sysrq triggered crash', cpu: 1, pid: 190, comm: 'sh' };
  expect(of({ ...requested, trigger: '/proc/sysrq-trigger' })).toContain(
    'CPU 1 was running pid 190 (sh). That process requested this crash by a write to /proc/sysrq-trigger: the kernel ',
  );
  expect(of(requested)).toContain('A user or a program requested this crash (SysRq-c)');
});

test('a report after the panic is said to be', () => {
  const at = (code: Finding['code'], seconds: bigint, figures: Finding['figures'] = {}): Finding => {
    const line = { kind: 'log', seq: 1, timestamp: seconds * 1_000_000_000n, text: 'x' } as const;
    return { code, severity: 'critical', figures: { reason: 'x', ...figures }, evidence: [line], next: 'log' };
  };
  const of = (...findings: Finding[]) => text({ width: null }, { findings });
  const after = 'Reported after [panic].';
  expect(of(at('panic', 200n), at('soft-lockup', 201n)).split(after)).toHaveLength(2);
  for (const others of [
    [at('panic', 200n), at('soft-lockup', 199n)],
    // The first of several may have been before.
    [at('panic', 200n), at('soft-lockup', 201n, { times: 2 })],
    [{ ...at('panic', 200n), past: true as const }, at('soft-lockup', 201n)],
    // Other boots and logs have other clocks.
    [at('panic', 200n, { boot: -1 }), at('soft-lockup', 201n)],
    [at('panic', 200n, { boot: 0 }), at('soft-lockup', 5000n, { boot: -1 })],
    [at('panic', 200n, { log: 'a' }), at('soft-lockup', 201n, { log: 'b' })],
  ])
    expect(of(...others)).not.toContain(after);
});

test('a note of a running machine says what to do, and that it is not urgent; beside a problem it does not', () => {
  const figures = { kind: 'memfd', name: 'memfd:x', bytes: 9, share: 0.06, pid: 7, comm: 'a', mapped: 1 };
  const note: Finding = { code: 'shared-memory', severity: 'note', figures, evidence: [], next: 'procs' };
  const host = { isCaptured: false } as unknown as KernelTriage['host'];
  const memory = answerOf({ 'free-buddy': 500, anonymous: 500 });
  const urgent = /\n {10}Not urgent: Find out why the process keeps it open\. The memory is freed when /;
  expect(text({ width: null }, { findings: [note], host, memory } as Partial<KernelTriage>)).toMatch(urgent);
  // A queue of some seconds need not be one.
  const unread = (ageSeconds: number) => {
    const of = { pid: 7, comm: 'a', sockets: 2, pinnedBytes: 9, peersBytes: 9, unreadBytes: 9, ageSeconds };
    const finding: Finding = { ...note, code: 'unread-sockets', figures: of };
    return text({ width: null }, { findings: [finding], host, memory } as Partial<KernelTriage>);
  };
  expect(unread(10)).toMatch(
    /for at least 10 s\.\n {10}Not urgent: Ask the owner of pid 7 \(a\) why it does not read\./,
  );
  expect(unread(9)).toMatch(/for at least 9 s, which can be normal below 10 s\.\n(?! {10}Not urgent)/);
  const problem: Finding = { ...note, severity: 'warning' };
  expect(text({ width: null }, { findings: [problem, note], host, memory } as Partial<KernelTriage>)).not.toContain(
    'Not urgent',
  );
  expect(text({ width: null }, { findings: [note], memory })).not.toContain('Not urgent');
  // Beside a kill that is over, in a cgroup; one of the machine may have freed what is not short now.
  const over = (scope: string) => {
    const kill: Finding = { ...problem, code: 'oom-kill', past: true, figures: { scope, outcome: 'killed', pid: 9 } };
    return text({ width: null }, { findings: [kill, note], host, memory } as Partial<KernelTriage>);
  };
  expect(over('cgroup')).toMatch(urgent);
  expect(over('machine')).not.toContain('Not urgent');
  // Where memory is short, or what it would say is no memory that is held, a note may be urgent.
  const short = answerOf({ 'free-buddy': 1, anonymous: 999 });
  expect(text({ width: null }, { findings: [note], host, memory: short } as Partial<KernelTriage>)).not.toContain(
    'urgent',
  );
  const blocked: Finding = { ...note, code: 'blocked-tasks', figures: { tasks: 3, cause: 'frozen', path: '/b' } };
  expect(text({ width: null }, { findings: [blocked], host, memory } as Partial<KernelTriage>)).not.toContain('urgent');
});

test('without a log, reports the panic reason as unknown', () => {
  const of = (logMessages: number | null) => ({
    code: 'panic',
    severity: 'critical',
    evidence: [],
    next: 'log',
    figures: { reason: null, cause: null, cpu: null, pid: null, comm: null, logMessages },
  });
  const words = (logMessages: number | null) => text({ width: null }, { findings: [of(logMessages)] });
  expect(words(null)).toContain('the reason is unknown, because the log is not available [panic]');
  expect(words(12)).toContain('the log does not contain the reason [panic]');
});

test('an answer from a log names the module of its report, and the command for that machine', () => {
  const textOf = (log: string) => {
    const [records, findings] = [textRecords(log), logFindings(textRecords(log), 4096)];
    const boots = { boots: [], bootCount: 1, cutLines: 0, unknownLines: 0, unconfirmedLines: 0 };
    const summary = { ...boots, format: 'dmesg', messages: records.length, lines: records.length, bytes: log.length };
    const logs = [{ name: 'l', log: summary, boot: undefined, missing: [], files: [], findings, held: undefined }];
    return triageText(triageLogs(logs, []), { width: null, source: 'dmesg.txt' });
  };
  const stalled = textOf('[ 7.000000] page_pool_release_retry() stalled pool shutdown 6 inflight 60 sec\n');
  expect(stalled).toMatch(/Next: kdump-mem log --since \S+ dmesg.txt\nOn that machine: skcheck --stale$/);
  const failed = textOf(
    '[ 1.000000] khubd: page allocation failure: order:5, mode:0x20\n[ 1.000001] Call Trace:\n[ 1.000002]  ring_alloc+0x1/0x2 [wifi]\n[ 1.000003] 5 pages hwpoisoned\n',
  );
  expect(failed).toContain('requested by ring_alloc [wifi]');
  expect(failed).toContain('This is no OOM kill: the kernel reported the failure to its caller.');
  expect(failed).toMatch(/\nOn that machine: kdump-mem memory --live --nodes$/);
  const stuck = textOf(
    '[ 1.000000] watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [X:7]\n[ 1.000001] Call Trace:\n[ 1.000002]  wifi_poll+0x1/0x2 [wifi]\n',
  );
  expect(stuck).toMatch(/^ +First module in its stack: “wifi” \(a place to begin, no proven cause\)\n\n/m);
  const idle = textOf('[ 1.000000] swapper/3: page allocation failure: order:0, mode:0x20\n');
  expect(idle).toContain(', in an interrupt on an idle CPU (swapper)');
  expect(textOf('[ 1.000000] eth0: link up\n')).not.toMatch(/On that machine|Module/);
  const killed = (anonymous: number, shared: number) =>
    textOf(
      [
        'a invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0',
        'Mem-Info:',
        `active_anon:${anonymous} inactive_anon:0 isolated_anon:0`,
        ' slab_reclaimable:7 slab_unreclaimable:8',
        ` mapped:3 shmem:${shared} pagetables:9`,
        ' free:50 free_pcp:0 free_cma:0',
        'Node 0 Normal free:200kB min:400kB low:500kB high:600kB present:400000kB managed:400000kB',
        '100000 pages RAM',
        '0 pages reserved',
        'Out of memory: Killed process 7 (a) total-vm:9kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB',
      ]
        .map((line, index) => `[ 1.00000${index}] ${line}\n`)
        .join(''),
    );
  // Processes would not show what is in a tmpfs.
  expect(killed(90_000, 80_000)).toMatch(
    /\nTo do: Find what used more .*\nNext: .*\nOn that machine: kdump-mem memory --live$/,
  );
  expect(killed(90_000, 1000)).toMatch(
    /\nTo do: Find what used more .*\nNext: .*\nOn that machine: kdump-mem procs --live$/,
  );
  const requested = 'kworker/0:1 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=-1, oom_score_adj=0';
  expect(textOf(`[ 1.000000] ${requested}\n`)).toContain('\nTo do: Find out who requested it: ');
});

test('the action depends on figures, and is left out where none is right', () => {
  const toDo = (code: string, figures: Finding['figures'], more: Partial<KernelTriage> = {}) =>
    text({ width: null }, { findings: [{ code, severity: 'warning', figures, evidence: [], next: 'procs' }], ...more })
      .split('\n')
      .at(-2);
  const machine = { panic: { state: 'panicked', logRead: true }, running: [] } as KernelTriage['machine'];
  expect(toDo('stalled-reader', { pid: 7, doing: 'stopped' })).toMatch(
    /^To do: Find out who stopped it\. kill -CONT PID/,
  );
  expect(toDo('stalled-reader', { pid: 7, doing: 'stopped' }, { machine })).not.toContain('To do');
  expect(toDo('stalled-reader', { pid: 7, doing: 'elsewhere' })).toMatch(
    /^To do: Ask the owner .* why it does not read\. If memory is short, restarting it frees/,
  );
  expect(toDo('stalled-reader', { pid: 7, doing: 'polling' })).toMatch(
    /^To do: Ask the owner .* its poll set\. If memory is short, restarting it frees/,
  );
  expect(toDo('stalled-reader', { pid: 7, doing: null })).not.toContain('To do');
  // What several processes have open, one of them does not free.
  expect(toDo('stalled-reader', { pid: 7, doing: 'elsewhere', holders: 3 })).toMatch(
    / ending all 3 processes that have the socket open frees it, but loses the unread data\.$/,
  );
  expect(toDo('allocation-failure', { order: 0, shortage: 'watermark' })).toMatch(/^To do: Below order 4 [^.]*\.$/);
  expect(toDo('allocation-failure', { order: 9, shortage: null })).toMatch(/^To do: From order 4 on [^.]*\.$/);
  for (const figures of [{ order: 0 }, { order: null }, { order: 3, shortage: 'fragmentation' }])
    expect(toDo('allocation-failure', figures)).not.toContain('To do');
  const pinned = { pid: 7, comm: 'a', sockets: 2, pinnedBytes: 9, share: 0.3, payloadBytes: 1, skbs: 1 };
  expect(toDo('queued-data-of-process', pinned)).toMatch(/^To do: If it is a receive queue: make the process read/);
  expect(toDo('queued-data-of-process', pinned, { machine })).toMatch(
    /^To do: The machine panicked: nothing is left .* if a leaves sockets unread again, restart it/,
  );
  expect(toDo('oops', { symbol: 'f\n' })).toMatch(
    /^To do: If the machine still runs, save .* kernels for f\\x0a, and /,
  );
  expect(toDo('oops', { symbol: null }, { machine })).toMatch(
    /^To do: Search .* for the function at RIP or pc in the log,/,
  );
  expect(toDo('oops', { symbol: 'sysrq_handle_crash' })).toBe(
    'To do: Find out who requested the crash, and why (perhaps the machine hung): the crash itself is no fault of the kernel.',
  );
  expect(toDo('hung-task', { pid: 7 })).toContain('Killing it does not help');
  expect(toDo('hung-task', { pid: 7 }, { machine })).toMatch(
    /^To do: Find out from its stack in the log what it waited/,
  );
  for (const reason of [
    'corrupted stack end detected inside scheduler',
    'stack-protector: Kernel stack is corrupted in: f',
  ])
    expect(toDo('panic', { reason })).toMatch(/^To do: A kernel stack was overwritten or too small: the process that /);
  expect(toDo('panic', { reason: 'NMI: Not continuing' })).toMatch(/^To do: Find out where the NMI came from: /);
  expect(toDo('panic', { reason: 'corrupted by x' })).not.toContain('To do');
  const blocked = { tasks: 2, pid: 7, comm: 'a', symbol: 'f', path: '/b' };
  expect(toDo('blocked-tasks', { ...blocked, cause: 'frozen' })).toMatch(/^To do: First check whether a backup /);
  expect(toDo('blocked-tasks', { ...blocked, cause: 'nfs' })).toMatch(/^To do: Check the server, /);
  expect(toDo('blocked-tasks', { ...blocked, cause: null })).not.toContain('To do');
  // Only a module that is not of the kernel is to suspect.
  const frame = { module: 'wacom', guess: false };
  const report = { stack: [frame], release: '6.1.0', taint: 'W', outOfTree: ['x'] };
  const oops = (changes: object) => {
    const all = { ...report, ...changes } as unknown as NonNullable<Finding['report']>;
    const finding = {
      code: 'oops',
      severity: 'critical',
      figures: { symbol: 'f' },
      evidence: [],
      report: all,
    } as const;
    return text({ width: null }, { findings: [finding] });
  };
  expect(oops({})).toContain('newer kernels for f.');
  expect(oops({ taint: null })).toContain('newer kernels for f.');
  for (const taint of ['GWOE', 'P'])
    expect(oops({ taint })).toContain('newer kernels for f, and suspect out-of-tree modules');
  expect(oops({ taint: null, release: null })).toContain('and suspect');
  expect(oops({ taint: 'P', stack: [] })).toContain('newer kernels for f.');
  const own = { symbol: 'f', module: 'wacom' };
  const inModule = {
    code: 'oops',
    severity: 'critical',
    figures: own,
    evidence: [],
    report: { ...report, outOfTree: ['wacom'], stack: [] },
  };
  expect(text({ width: null }, { findings: [inModule as unknown as Finding] })).toContain(
    'The fault is in wacom, which is not part',
  );
  expect(oops({ outOfTree: ['wacom'] })).toContain(
    'First suspect: the kernel module “wacom”, which is in the stack trace, and not part of',
  );
  expect(oops({ outOfTree: ['wacom'], stack: [{ ...frame, guess: true }] })).not.toContain('uspect: the');
  const lockup = { code: 'soft-lockup', severity: 'critical', figures: { cpu: 1 }, evidence: [] };
  const stuck = (outOfTree: string[]) =>
    text({ width: null }, { findings: [{ ...lockup, report: { ...report, outOfTree } } as unknown as Finding] });
  expect(stuck(['wacom'])).toMatch(
    /\nTo do: First suspect: the kernel module “wacom”, .* Read the stack traces of that task /,
  );
  expect(stuck(['x'])).toMatch(/\nTo do: Read the stack traces of that task /);
  expect(toDo('unattributed-memory', { bytes: 9, share: 0.3 })).not.toContain('To do');
  expect(toDo('unattributed-memory', { bytes: 9, share: 0.3, mostBytes: 10 })).toMatch(
    /^To do: First run skcheck on the machine itself: /,
  );
  expect(toDo('unattributed-memory', { bytes: 9, mostBytes: 10, balloon: 'b' })).not.toContain('To do');
  const shared = { bytes: 9, share: 0.3, pid: 7, comm: 'a', mapped: 0 };
  for (const name of ['memfd:x', '/dev/shm/x (deleted)'])
    expect(toDo('shared-memory', { ...shared, kind: 'file', name })).toMatch(
      /^To do: Find out why the process keeps it/,
    );
  expect(toDo('shared-memory', { ...shared, kind: 'file', name: '/dev/shm/x' })).toMatch(
    /^To do: A memfd or deleted file is /,
  );
  expect(toDo('shared-memory', { ...shared, kind: 'segment', name: 's' })).toMatch(/ ipcrm frees it, /);
  expect(toDo('shared-memory', { ...shared, kind: 'file', name: 'f', descriptors: 2 })).toMatch(/ receive these desc/);
  expect(toDo('no-dump', { reason: 'memory' })).toMatch(
    /^To do: Raise crashkernel=, reboot, .* crashes the machine\.$/,
  );
  expect(toDo('no-dump', { reason: 'network' })).toMatch(/^To do: Check the dump target .* crashes the machine\.$/);
  expect(toDo('no-dump', { reason: 'collector' })).not.toContain('To do');
  expect(toDo('network-memory', { table: 'table full' })).toMatch(/ conntrack -L/);
  expect(toDo('network-memory', { neighbours: 'overflow' })).toMatch(/ gc_thresh3/);
  expect(toDo('network-memory', { files: 'file-max' })).toMatch(/ most open descriptors /);
  expect(toDo('network-memory', { protocol: 'TCP' })).toMatch(/ sockets that hold the memory /);
  expect(toDo('network-memory', { routes: 'full' })).not.toContain('To do');
  expect(toDo('file-system-error', { server: 'nas' })).toBe('To do: Check the server, and the network to it.');
  expect(toDo('file-system-error', { device: 'sda' })).toMatch(/^To do: Check the disk and its path /);
  expect(toDo('undefined-behavior', {})).not.toContain('can wait');
  expect(toDo('resource-exhausted', { resource: 'audit' })).not.toContain('To do');
  expect(toDo('resource-exhausted', { resource: 'pids', cgroup: 'c' })).toMatch(/ before you raise pids\.max: /);
  expect(toDo('unreclaimable-slab', { bytes: 9, share: 0.5 }, { machine })).toMatch(
    / refs --cache NAME in this dump\.$/,
  );
  expect(toDo('shared-memory', { ...shared, kind: 'file', name: 'memfd:x' }, { machine })).not.toContain('To do');
  expect(toDo('memory-leak', { cache: 'c' })).toMatch(/ destroyed the cache\. /);
  expect(toDo('memory-leak', {})).toMatch(/ code in its backtrace, /);
  expect(toDo('data-race', {})).toBe('To do: It can wait: report it to the vendor of the kernel, with all its lines.');
  const little = { availableBytes: 1, totalBytes: 100, share: 0.01, useBytes: 90, pid: null };
  expect(toDo('low-available', { ...little, use: 'missing-counters' })).toMatch(
    /^To do: Get all lines of .* is not proven\.$/,
  );
  expect(toDo('low-available', { ...little, use: 'uncounted' })).toMatch(
    /^To do: First run skcheck on the machine itself: /,
  );
  expect(toDo('low-available', { ...little, use: 'anonymous' })).toMatch(/^To do: Check whether the largest use is /);
  // The details say it.
  expect(toDo('page-pool-stalled', { pools: 1, pages: 2, leastBytes: 9, seconds: 9 })).not.toContain('To do');
  expect(toDo('zombies', { pid: 7, comm: 'a', zombies: 9 })).toMatch(/^To do: Report it .* only if pids run out\.$/);
  expect(toDo('zombies', { pid: 1, comm: 'a', zombies: 9 })).toMatch(/ pid 1 .* must not be killed\.$/);
  // Without an action of its own a code has its next step.
  expect(toDo('kernel-stacks', { bytes: 9, share: 0.1, pid: 7, comm: 'a', threads: 9 })).toMatch(
    /^To do: Check why the named process has so many threads\.$/,
  );
  expect(toDo('panic', { reason: 'hung_task: blocked tasks' })).toMatch(/^To do: Find the hung tasks in the log/);
  expect(toDo('panic', { reason: 'sysrq triggered crash' })).toMatch(/^To do: Find out who requested the crash/);
  expect(toDo('panic', { reason: 'Fatal exception' })).not.toContain('To do');
  expect(toDo('memory-corruption', { symbol: 'kunit_try_run_case' })).toMatch(/^To do: First find out whether tests/);
  expect(toDo('memory-corruption', { symbol: 'f' })).toMatch(/^To do: If the machine still runs, it may damage data: /);
  expect(toDo('memory-corruption', { symbol: 'f' }, { machine })).toMatch(/^To do: Start with the first such line/);
  expect(toDo('oom-kill', { outcome: 'unknown' })).toMatch(/^To do: Get the log after this line/);
  expect(toDo('oom-kill', { outcome: 'killed', reason: 'memcg' })).toMatch(/^To do: Find what grew in that cgroup: /);
  const gone = { outcome: 'killed', reason: 'memcg', subject: 'gone', cgroup: '/a' };
  expect(toDo('oom-kill', gone)).toMatch(/^To do: That cgroup is gone\. /);
  // Of a process that has as much again, the cgroup is of no matter.
  expect(toDo('oom-kill', { ...gone, againPid: 9, againBytes: 5 })).toMatch(/^To do: Find what grew in that cgroup: /);
  const largest = {
    outcome: 'killed',
    reason: 'global',
    pid: 7,
    largestPid: 7,
    largestRssBytes: 60,
    tasksRssBytes: 100,
  };
  expect(toDo('oom-kill', largest)).toContain(
    'Begin with the victim, pid 7, which had more than half of the memory of all processes, and with others of its name.',
  );
  for (const changes of [{ largestPid: 8 }, { tasksRssBytes: 120 }, { tasksRssBytes: null }])
    expect(toDo('oom-kill', { ...largest, ...changes })).toContain('The victim need not be the cause');
  const kill = { scope: 'machine', reason: 'global', outcome: 'killed', managedBytes: 1e9, anonBytes: 1e7 };
  expect(toDo('oom-kill', { ...kill, slabUnreclaimableBytes: 9e8 })).toMatch(/^To do: Find the slab cache that grew: /);
  expect(toDo('oom-kill', { ...kill, anonBytes: 9e8 })).toMatch(/^To do: Find what used more than it normally does: /);
  const elsewhere = { shortage: 'watermark', unusable: 'CMA', unusableFreeBytes: 8e8, freeBytes: 8e8 };
  expect(toDo('oom-kill', { ...kill, ...elsewhere })).not.toContain('To do');
  const limit = { used: 9, most: 9, share: 1 };
  expect(toDo('limit-near', { ...limit, limit: 'tcp_max_orphans' })).toMatch(
    /^To do: Do not raise the limit first: find the /,
  );
  expect(toDo('limit-near', { ...limit, limit: 'pid_max' })).toMatch(
    /^To do: Find what uses up the limit before [^.]*\.$/,
  );
  // Reading frees neither a ring nor data to be sent.
  expect(toDo('queued-data-of-process', { ...pinned, ringBytes: 8 })).not.toContain('To do');
  expect(toDo('queued-data', { ...pinned, queue: 'write' })).not.toContain('To do');
});
