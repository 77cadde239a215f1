import { expect, test } from 'vitest';
import type { MemoryAnswer } from '../../src/account/memory/answer.js';
import { triageJson } from '../../src/answers/triage/json.js';
import { triageText } from '../../src/answers/triage/text.js';
import { findingSentences } from '../../src/answers/triage/words.js';
import { triageSchema } from '../../src/contracts/triage.js';
import type { HostTriage } from '../../src/triage/answer.js';
import type { Finding } from '../../src/triage/finding.js';
import { holdersIn, hostHolders, withSuccessors } from '../../src/triage/holders.js';
import { HostReader } from '../../src/triage/host-reader.js';
import { answerOf } from '../answers/memory/answer.js';
import { madeSource } from '../support/made-host.js';

const MIB = 2 ** 20;

const process = (pid: number, comm: string, anon: number, shared = 0, cgroup = '/') => ({
  [`/proc/${pid}/status`]: `Name:\t${comm}\nState:\tS (x)\nPPid:\t1\nFDSize:\t64\nThreads:\t1\nRssAnon:\t${anon * 1024} kB\nRssShmem:\t${shared * 1024} kB\n`,
  [`/proc/${pid}/comm`]: `${comm}\n`,
  [`/proc/${pid}/cgroup`]: `0::${cgroup}\n`,
});

function holders(files: Readonly<Record<string, string>>, findings: Finding[] = [], cgroups: [string, number][] = []) {
  const reader = new HostReader(madeSource({ files: { ...process(1, 'init', 1), ...files } }), 4096);
  for (const [cgroup, size] of cgroups)
    reader.cgroups.push({ cgroup, folder: `/sys/fs/cgroup${cgroup}`, bytes: size * MIB });
  const { largest = [] } = hostHolders(reader, findings) ?? {};
  return largest.map(({ kind, name, pid, processes, bytes }) => [kind, name, pid, processes, bytes / MIB]);
}

const stat = (cgroup: string, cache: number) => ({
  [`/sys/fs/cgroup${cgroup}/memory.stat`]: `anon 5\ninactive_file ${cache * MIB}\nactive_file 0\n`,
});

test('many small processes of one name are one holder', () => {
  const many = Object.assign({}, ...Array.from({ length: 251 }, (_, at) => process(100 + at, 'python3', 12)));
  expect(holders({ ...many, ...process(7, 'java', 2000) })).toEqual([
    ['program', 'python3', 100, 251, 3012],
    ['process', 'java', 7, null, 2000],
    ['process', 'init', 1, null, 1],
  ]);
});

test('a kill is not over while a process of that name grows again', () => {
  const kill: Finding = {
    code: 'oom-kill',
    severity: 'critical',
    past: true,
    figures: { outcome: 'killed', pid: 7, comm: 'java', victimAnonBytes: 900 * MIB, secondsAgo: 90 },
    evidence: [],
  };
  const after = (finding: Finding, pid: number, comm: string, anon: number) => {
    const reader = new HostReader(
      madeSource({ files: { ...process(1, 'init', 1), ...process(pid, comm, anon) } }),
      4096,
    );
    return withSuccessors([finding], hostHolders(reader, []))[0]!;
  };
  const again = after(kill, 9, 'java', 450);
  expect(again).toMatchObject({ figures: { againPid: 9, againBytes: 450 * MIB } });
  expect(again.past).toBeUndefined();
  expect(findingSentences(again).slice(-2)).toEqual([
    'The log reported it 90 s ago.',
    'It may happen again: pid 9, of the same name, has 450 MiB.',
  ]);
  // Less than half, another name, the victim itself, an unknown size, an hour later.
  const { victimAnonBytes: _, ...unsized } = kill.figures;
  for (const other of [
    after(kill, 9, 'java', 449),
    after(kill, 9, 'javac', 900),
    after(kill, 7, 'java', 900),
    after({ ...kill, figures: unsized }, 9, 'java', 900),
    after({ ...kill, severity: 'note' }, 9, 'java', 900),
  ])
    expect([other.past, other.figures.againPid]).toEqual([true, undefined]);
});

test('pipes hold no more than what is in no counter', () => {
  const pipes = (figures: Finding['figures']): Finding => ({ code: 'pipes', severity: 'note', figures, evidence: [] });
  const figures = { pid: 7, comm: 'hoard', pipes: 900, mostBytes: 900 * MIB, unattributedBytes: 700 * MIB };
  const files = process(7, 'hoard', 5);
  const [, ...others] = holders(files);
  expect(holders(files, [pipes(figures)])).toEqual([
    ['pipes', 'hoard', 7, 1, 700],
    ['process', 'hoard', 7, null, 5],
    ...others,
  ]);
  const [most] = holders(files, [pipes({ ...figures, unattributedBytes: 950 * MIB, processes: 3 })]);
  expect(most).toEqual(['pipes', 'hoard', 7, 3, 900]);
});

test('processes that exited before their names were read are no program', () => {
  const nameless = [20, 21].map((pid) => {
    const { [`/proc/${pid}/comm`]: _, ...files } = process(pid, '', 10);
    return files;
  });
  expect(holders(Object.assign({}, ...nameless))).toEqual([
    ['process', '?', 20, null, 10],
    ['process', '?', 21, null, 10],
    ['process', 'init', 1, null, 1],
  ]);
});

test('without the memory of any process, no holder is called the largest', () => {
  const slab: Finding = { code: 'unreclaimable-slab', severity: 'warning', figures: { bytes: 1e9 }, evidence: [] };
  const reader = (files: Readonly<Record<string, string>>) => new HostReader(madeSource({ files }), 4096);
  expect(hostHolders(reader({ '/proc/meminfo': '' }), [slab])).toBeUndefined();
  const old = process(1, 'init', 0);
  expect(hostHolders(reader(old), [slab])).toBeUndefined();
  expect(triageText(answer({ holders: undefined }), { width: 80, source: '--live' })).not.toContain('Largest holders');
});

test('without anonymous memory of any process, the largest are those by RSS, and no kill continues in one', () => {
  const old = (pid: number, comm: string, rss: number) => ({
    [`/proc/${pid}/status`]: `Name:\t${comm}\nState:\tS (x)\nPPid:\t1\nFDSize:\t64\nThreads:\t1\nVmRSS:\t${rss * 1024} kB\n`,
  });
  const reader = new HostReader(madeSource({ files: { ...old(1, 'init', 1), ...old(7, 'java', 900) } }), 4096);
  const found = hostHolders(reader, []);
  expect(found).toMatchObject({ byRss: true, largest: [{ pid: 7, bytes: 900 * MIB }, { pid: 1 }] });
  expect(found?.hidden).toBeUndefined();
  const figures = { pid: 5, comm: 'java', victimAnonBytes: 800 * MIB };
  const kill: Finding = { code: 'oom-kill', severity: 'critical', past: true, figures, evidence: [] };
  expect(withSuccessors([kill], found)).toEqual([kill]);
  const { byRss: _, ...byParts } = found!;
  expect(withSuccessors([kill], byParts)).not.toEqual([kill]);
});

test('a list of ps is whole by its own first process, the status of some processes by that of /proc', () => {
  const hiddenIn = (files: Readonly<Record<string, string>>, ...pids: readonly number[]) => {
    const reader = new HostReader(madeSource({ files }), 4096);
    reader.listed = pids.map((pid) => ({ pid, name: 'a', bytes: MIB }));
    return hostHolders(reader, [])?.hidden;
  };
  const none = { '/proc/meminfo': '' };
  expect([hiddenIn(none, 1, 7), hiddenIn(none, 7)]).toEqual([undefined, true]);
  expect(hiddenIn(process(7, 'sh', 5), 1, 7)).toBe(true);
});

test('slab whose caches are unknown has a name in words', () => {
  const figures = { bytes: 600 * MIB, caches: null };
  const slab: Finding = { code: 'unreclaimable-slab', severity: 'warning', figures, evidence: [] };
  expect(holders({}, [slab])[0]).toEqual(['unmapped', 'unreclaimable slab', null, null, 600]);
});

test('processes that /proc hides may hold more', () => {
  const found = hostHolders(new HostReader(madeSource({ files: process(7, 'sh', 5) }), 4096), []);
  expect(found?.hidden).toBe(true);
  expect(triageSchema.parse(triageJson(answer({ holders: found }))).holders).toMatchObject({ hidden: true });
  expect(triageText(answer({ holders: found }), { width: null, source: '--live' })).toContain(
    'Largest holders: pid 7 (sh) 5.00 MiB. Not read: processes that /proc does not list.',
  );
});

test('memory that processes of one name share is counted once', () => {
  const all = [10, 11, 12].map((pid) => process(pid, 'postgres', 10, 500));
  expect(holders(Object.assign({}, ...all))[0]).toEqual(['program', 'postgres', 10, 3, 530]);
});

test('a process with nearly all memory of its program is named alone, unless the others share it', () => {
  const large = (shared: number) => ({
    ...process(10, 'postgres', 900, shared),
    ...process(11, 'postgres', 5, shared),
    ...process(12, 'postgres', 5, shared),
  });
  expect(holders(large(0))[0]).toEqual(['process', 'postgres', 10, null, 900]);
  expect(holders(large(3000))[0]).toEqual(['program', 'postgres', 10, 3, 3910]);
  // Counted three times, the shared memory would hide that one process has the most by far.
  expect(holders(large(100))[0]).toEqual(['process', 'postgres', 10, null, 1000]);
});

test('shared memory of which each process has touched another part is the size of the mapped file', async () => {
  const touched = [10, 11, 12].map((pid) => process(pid, 'postgres', 10, 500));
  const files = { ...process(1, 'init', 1), ...Object.assign({}, ...touched) };
  const line = '7f0000000000-7f0080000000 rw-s 00000000 00:01 5 /dev/zero (deleted)\n';
  for (const pid of [10, 11, 12]) files[`/proc/${pid}/maps`] = line;
  const largest = async (blocks: number | undefined) => {
    const facts = { device: 1, inode: 5, isFile: true, isFolder: false, isTmpfs: true };
    const source = {
      ...madeSource({ files }),
      file: () => ({}) as never,
      ...(blocks === undefined ? {} : { mappedFile: async () => ({ ...facts, bytes: blocks * MIB }) }),
    };
    const found = hostHolders(await new HostReader(source, 4096).readMappings(), []);
    return found?.largest.map(({ bytes }) => bytes / MIB)[0];
  };
  expect(await largest(1300)).toBe(1330);
  // Never less than one process maps, never more than all of them together.
  expect(await largest(1)).toBe(530);
  expect(await largest(9000)).toBe(1530);
  expect(await largest(undefined)).toBe(530);
  // A snapshot lists the file with one of its processes.
  for (const pid of [10, 11]) {
    const reader = new HostReader(madeSource({ files }), 4096);
    reader.mapped.push({ kind: 'mapping', name: 'shared anonymous mapping', pid, bytes: 1300 * MIB, mapped: true });
    expect(hostHolders(reader, [])?.largest[0]).toMatchObject({ kind: 'program', bytes: 1330 * MIB });
  }
});

test('a heap that is mapped several times is no larger than all shared memory', () => {
  const files = { ...process(7, 'java', 10, 3000), '/proc/meminfo': `Shmem:   ${1000 * 1024} kB\n` };
  expect(holders(files)[0]).toEqual(['process', 'java', 7, null, 1010]);
});

test('memory that no process maps has its owner', () => {
  const reader = new HostReader(madeSource({ files: process(1, 'init', 1) }), 4096);
  const common = { files: 1, comm: 'py', processes: 1, isHidden: true, cgroup: null, bytes: 600 * MIB };
  reader.unmapped.push({ ...common, kind: 'file', name: 'memfd:x', pid: 7 });
  reader.unmapped.push({ ...common, kind: 'tmpfs', name: 'tmpfs /data', inside: 8, bytes: 500 * MIB });
  expect(hostHolders(reader, [])?.largest.map(({ kind, name, pid }) => [kind, name, pid])).toEqual([
    ['unmapped', 'memfd:x', 7],
    ['unmapped', 'tmpfs /data', 8],
    ['process', 'init', 1],
  ]);
});

test('a cgroup counts without page cache, reclaimable slab and inner cgroups, and yields to its only process', () => {
  const [path = '', cache] = Object.entries(stat('/a/b', 50))[0] ?? [];
  const files = {
    ...stat('/a', 100),
    [path]: `${cache}slab_reclaimable ${30 * MIB}\n`,
    ...stat('/c', 0),
    ...process(9, 'one', 290, 0, '/c'),
  };
  const sizes: [string, number][] = [
    ['/a', 1000],
    ['/a/b', 650],
    ['/c', 300],
  ];
  expect(holders(files, [], sizes)).toEqual([
    ['cgroup', '/a/b', null, null, 570],
    ['cgroup', '/a', null, null, 330],
    ['process', 'one', 9, null, 290],
  ]);
  // Memory of an inner cgroup that is unknown is not counted as that of the outer one.
  expect(holders({ ...stat('/a', 0) }, [], sizes).map(([kind]) => kind)).toEqual(['process']);
});

test('a dump names holders by the owners of categories, summed', () => {
  const owner = (pid: number, name: string, bytes: number) => ({ kind: 'process' as const, name, pid, bytes });
  const category = (name: string, owners: object[]) => ({ category: name, owners, children: [] });
  const children = [
    category('anonymous', [owner(7, 'a', 5), owner(8, 'b', 3), owner(9, 'b', 3)]),
    category('network-sockets', [owner(7, 'a', 4)]),
    category('slab-unreclaimable', [{ kind: 'cache', name: 'dentry', bytes: 2 }]),
  ];
  const memory = { ...category('memory', []), children } as unknown as MemoryAnswer['memory'];
  expect(holdersIn({ memory })?.largest).toEqual([
    { kind: 'process', name: 'a', pid: 7, processes: null, bytes: 9 },
    { kind: 'program', name: 'b', pid: 8, processes: 2, bytes: 6 },
    { kind: 'cache', name: 'dentry', pid: null, processes: null, bytes: 2 },
  ]);
});

const answer = (more: Partial<HostTriage> = {}): HostTriage => ({
  host: { host: 'web-7', takenAt: null, isCaptured: false, release: '6.1.0', uptimeSeconds: 90 },
  findings: [],
  lost: { overwritten: 0, noRoom: null },
  memory: undefined,
  holders: {
    largest: [{ kind: 'program', name: 'a\u001b[31m', pid: 3, processes: 1251, bytes: 3 * 2 ** 30 }],
    unreadProcesses: 0,
  },
  checked: ['log', 'memory'],
  unread: [],
  warnings: [],
  complete: true,
  ...more,
});

test('a deleted file is said to be, with the process that keeps it', () => {
  const words = (name: string, pid: number | null) => {
    const largest = [{ kind: 'unmapped' as const, name, pid, processes: null, bytes: 2 ** 20 }];
    const found = { largest, unreadProcesses: 0 };
    return /^Largest holders: (.*)/m.exec(
      triageText(answer({ holders: found }), { width: null, source: '--live' }),
    )?.[1];
  };
  expect(words('/dev/shm/a (deleted)', 7)).toBe('/dev/shm/a (deleted, but open or mapped in pid 7) 1.00 MiB.');
  expect(words('/dev/shm/a (deleted)', null)).toBe('/dev/shm/a (deleted) 1.00 MiB.');
  expect(words('/dev/shm/a', 7)).toBe('/dev/shm/a (pid 7) 1.00 MiB.');
});

test('an answer without findings has memory, holders and a next command, and fits a small terminal', () => {
  const text = triageText(answer(), { width: 80, source: '--live' });
  expect(text.split('\n').length).toBeLessThan(24);
  expect(text).toContain('No problems found.');
  expect(text).toContain('\nMemory: ');
  expect(text).toContain('Largest holders: 1,251 processes named a\\x1b[31m 3.00 GiB.');
  expect(text.split('\n').at(-1)).toBe('Next: kdump-mem memory --live');
});

test('beside notes alone memory comes first, and watch is next where little is unattributed', () => {
  const note = { code: 'fragmentation', severity: 'note', figures: { zone: 'Normal', node: 0 }, evidence: [] } as const;
  const notes: readonly Finding[] = [{ ...note, next: undefined } as never];
  const linesOf = (findings: readonly Finding[], frames: Parameters<typeof answerOf>[0]) =>
    triageText(answer({ findings, memory: answerOf(frames) }), { width: null, source: '--live' }).split('\n');
  const calm = linesOf(notes, { 'free-buddy': 900, anonymous: 100 });
  const at = (lines: readonly string[], start: string) => lines.findIndex((line) => line.startsWith(start));
  expect(at(calm, 'Memory is not short: ')).toBe(2);
  expect(at(calm, 'NOTE')).toBeGreaterThan(2);
  expect(calm.at(-1)).toBe('Next: kdump-mem watch');
  expect(linesOf([], { anonymous: 100 }).at(-1)).toBe('Next: kdump-mem memory --live');
  expect(linesOf([], { 'free-buddy': 900, unattributed: 100 }).slice(-2)).toEqual([
    'Next: kdump-mem memory --live',
    'If memory is being lost: kdump-mem watch',
  ]);
  const problem = linesOf([{ ...notes[0]!, severity: 'warning' }], { 'free-buddy': 900, anonymous: 100 });
  expect(at(problem, 'Memory: ')).toBeGreaterThan(at(problem, 'WARNING'));
  expect(problem.at(-1)).toBe('Next: kdump-mem memory --live');
});

test('processes that could not be read are counted, and are no all-clear', () => {
  const holders = { largest: [], unreadProcesses: 81 };
  const unread = [{ check: 'sockets', code: 'denied', why: 'descriptors', hides: 'x', processes: 81 }] as const;
  const note: Finding = { code: 'tainted', severity: 'note', figures: { mask: 1 }, evidence: [] };
  for (const findings of [[], [note]]) {
    const text = triageText(answer({ findings, holders, unread, complete: false }), { width: null, source: '--live' });
    expect(text.split('\n')[0]).toMatch(/[Ii]ncomplete: 81 processes could not be read\. Run as root\./);
    expect(text).not.toMatch(/No problems|No findings/);
    expect(text).toContain('Not read: 81 processes.');
  }
});

test.each([
  ['live', false, /Incomplete: \/proc does not list all processes\. Run as root\./],
  ['in a snapshot', true, /Incomplete: \/proc does not list all processes\. Take the snapshot as root\./],
])('hidden processes are no all-clear %s', (_, isCaptured, words) => {
  const holders = { largest: [], unreadProcesses: 0, hidden: true } as const;
  const host = { ...answer().host, isCaptured };
  const text = triageText(answer({ host, holders, complete: false }), { width: null, source: '--live' });
  expect(text.split('\n')[0]).toMatch(words);
  expect(text).not.toMatch(/No problems|No findings/);
});

test('one process that could not be read is named, without a doubt about the rest', () => {
  const one = {
    check: 'sockets',
    code: 'denied',
    why: 'descriptors of pid 1',
    hides: 'sockets',
    processes: 1,
  } as const;
  const first = (more: Partial<HostTriage>) =>
    triageText(answer({ complete: false, unread: [one], ...more }), { width: null, source: '--live' }).split('\n');
  expect(first({})[0]).toMatch(/No problems found in what could be read\. Checked: log, memory\.$/);
  expect(first({})[2]).toBe('Not checked: sockets (descriptors of pid 1).');
  const many = ['sockets', 'zombies', 'pipes', 'files'].map((hides) => ({ ...one, hides }));
  expect(first({ unread: many })[2]).toBe('Not checked: sockets, zombies, 2 other problems (descriptors of pid 1).');
  const other = { ...one, check: 'log', why: 'the log' } as const;
  const { processes: _, ...log } = other;
  expect(first({ unread: [one, log] })[0]).toMatch(
    /No findings, but 2 of 4 checks could not be completed\. Completed: log, memory\.$/,
  );
  expect(first({ lost: undefined })[0]).toContain('No findings, but 1 of 3 checks could not be completed.');
  const three = (['sockets', 'processes', 'limits'] as const).map((check) => ({ ...log, check }));
  expect(first({ unread: three })[0]).toMatch(/Incomplete: 3 of 5 checks could not be completed\. Completed: /);
  // None of the main checks: the others have names.
  expect(first({ unread: three, checked: ['vmalloc', 'limits'] })[0]).toMatch(/Completed: vmalloc, limits\.$/);
});

test('rings of perf count for the process that maps them, those of BPF apart', () => {
  const reader = new HostReader(madeSource({ files: { ...process(7, 'perf', 5), ...process(8, 'app', 900) } }), 4096);
  const perf = {
    kind: 'trace-rings',
    name: 'perf',
    category: 'rings',
    bytes: 2000 * MIB,
    source: '',
    figures: {},
  } as const;
  const processes = [{ pid: 7, comm: 'perf', bytes: 2000 * MIB }];
  const bpf = { ...perf, name: 'BPF', processes: [{ pid: 8, comm: 'app', bytes: 1000 * MIB }] };
  reader.memory = { named: [{ ...perf, processes }, bpf] } as unknown as MemoryAnswer;
  expect(hostHolders(reader, [])?.largest.map(({ name, pid, bytes }) => [name, pid, bytes / MIB])).toEqual([
    ['perf', 7, 2005],
    ['app', 8, 1000],
    ['app', 8, 900],
  ]);
});
