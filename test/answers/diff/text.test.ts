import { expect, test } from 'vitest';
import { stateOfValues } from '../../../src/answers/diff/read/answers.js';
import { categoryBlock, diffJson, diffText, listBlock } from '../../../src/answers/diff/render.js';
import { headline, noteWords, peerHolders, whoWords } from '../../../src/answers/diff/words.js';
import { type Block, blockTexts } from '../../../src/answers/text/blocks.js';
import { columnsOf } from '../../../src/answers/text/cut.js';
import { diffSchema } from '../../../src/contracts/diff.js';
import { compareStates } from '../../../src/diff/compare.js';
import { diffCategories } from '../../../src/diff/lists.js';
import type { Who } from '../../../src/diff/state.js';
import { type MadeProcess, memoryAnswerAt, procsAnswerAt, socketsAnswerAt } from './answers.js';

const OPTIONS = { hasRates: true, hidesQueues: true, limit: 5, verbose: false, width: null };
const text = (block: Block) => blockTexts([block], null).join('\n\n');
const MIB = 1 << 20;
const compared = (...looks: readonly (readonly unknown[])[]) =>
  compareStates(looks.map((values, at) => stateOfValues(`${at}.json`, values)));
const headOf = (...looks: readonly (readonly unknown[])[]) => diffText(compared(...looks), OPTIONS).split('\n', 1)[0];
const java = (pss: number, other: Partial<MadeProcess> = {}): MadeProcess => ({
  pid: 812,
  start: 100,
  pss,
  comm: 'java',
  ...other,
});

test('the most important sentence comes first: size of the loss, category, process', () => {
  expect(
    headOf(
      [memoryAnswerAt(2), socketsAnswerAt(2, { 5: 8192 })],
      [memoryAnswerAt(47, { sockets: 800_000 - 200_000 }), socketsAnswerAt(47, { 5: 599_000 * 4096 })],
    ),
  ).toBe(
    'Free memory fell by 2.29 GiB to 766 MiB (20 % of memory) between 10:02 and 10:47 UTC on 2026-11-20. Largest increase: network: socket queues +2.29 GiB (led by pid 4711 (nginx) fd 11: TCP 10.0.0.1:80, peer 10.0.0.2:5, +2.28 GiB pinned). Free and reclaimable memory fell by 52.0 MiB/min: at that rate, the remaining 778 MiB would last about 15 min from then (until 11:01 UTC), not counting swap.',
  );
  expect(
    headOf(
      [memoryAnswerAt(2), procsAnswerAt(2, [java(100 * MIB)])],
      [memoryAnswerAt(3, { anonymous: 251_200 }), procsAnswerAt(3, [java(300 * MIB)])],
    ),
  ).toBe(
    'Free memory fell by 200 MiB to 2.84 GiB (74 % of memory) between 10:02:00 and 10:03:00 UTC on 2026-11-20. Largest increase: anonymous +200 MiB (led by pid 812 (java), +200 MiB anonymous PSS). Free and reclaimable memory fell by 200 MiB/min: at that rate, the remaining 2.85 GiB would last about 15 min from then (until 10:17 UTC), not counting swap.',
  );
});

test('when memory ends is said if that is soon, by what is free and what can be reclaimed', () => {
  const soon = (grown: Parameters<typeof memoryAnswerAt>[1], minute = 47) =>
    /the remaining .* would (last .*) from then \(until \d\d:\d\d UTC\), not counting swap/.exec(
      headOf([memoryAnswerAt(2)], [memoryAnswerAt(minute, grown)]) ?? '',
    )?.[1];
  expect(soon({ anonymous: 900_000 }, 3)).toBe('last about 8.4 s');
  expect(soon({ anonymous: 542_100 })).toBe('last about 60 min');
  expect(soon({ anonymous: 542_000 })).toBeUndefined();
  // What slab gained can be reclaimed: it is not lost.
  expect(soon({ dentries: 542_000 })).toBeUndefined();
  expect(soon({ dentries: 300_000, anonymous: 542_100 })).toBe('last about 60 min');
  // A program that started in between grew once.
  const first: MadeProcess = { pid: 1, start: 1, pss: MIB };
  const started = headOf(
    [memoryAnswerAt(2), procsAnswerAt(2, [first])],
    [memoryAnswerAt(3, { anonymous: 251_200 }), procsAnswerAt(3, [first, java(300 * MIB, { start: 514_000 })])],
  );
  expect(started).toContain(
    '(led by pid 812 (java), which is new, +300 MiB anonymous PSS). A new process may grow only at its start: first check whether pid 812 (java) still grows. No process that is in both inputs grew. 2.85 GiB of memory was still free or reclaimable.',
  );
});

test('how much others grew is not said where a process may have been there without memory', () => {
  const first: MadeProcess = { pid: 1, start: 1, pss: MIB };
  const answer = compared(
    [memoryAnswerAt(2), procsAnswerAt(2, [first])],
    [memoryAnswerAt(3, { anonymous: 251_200 }), procsAnswerAt(3, [first, java(300 * MIB, { start: 514_000 })])],
  );
  const { processes } = answer.lists;
  const grew = (changeBytes: number) => {
    const item = { ...processes!.items[0]!, status: 'both' as const, changeBytes };
    const items = [...processes!.items, item];
    return headline({ ...answer, lists: { ...answer.lists, processes: { ...processes!, items } } });
  };
  // Beside 200 MiB that were lost, another process that grew has a rate.
  expect(grew(19 * MIB)).toMatch(
    / grew most is pid .*, by 19\.0 MiB\. 2\.85 GiB of memory was still free or reclaimable\./,
  );
  expect(grew(21 * MIB)).toContain('by 21.0 MiB. Free and reclaimable memory fell by 200 MiB/min; only if');
  // With little left, a start may be the end.
  const short = [251_200, 900_000].map((anonymous) =>
    headOf(
      [memoryAnswerAt(2), procsAnswerAt(2, [first])],
      [memoryAnswerAt(3, { anonymous }), procsAnswerAt(3, [first, java(4096 * MIB, { start: 514_000 })])],
    )?.includes('only if that goes on'),
  );
  expect(short).toEqual([false, true]);
  const empty = { ...processes!.items[0]!, status: 'was-empty' as const, changeBytes: MIB };
  const open = {
    ...answer,
    lists: { ...answer.lists, processes: { ...processes!, items: [...processes!.items, empty] } },
  };
  const said = 'No process that is in both inputs grew.';
  expect([headline(answer), headline(open)].map((words) => words.includes(said))).toEqual([true, false]);
});

test('of a process that started, the machine shows first whether it still grows', () => {
  const first: MadeProcess = { pid: 1, start: 1, pss: MIB };
  const answer = compared(
    [memoryAnswerAt(2), procsAnswerAt(2, [first])],
    [memoryAnswerAt(3, { anonymous: 251_200 }), procsAnswerAt(3, [first, java(300 * MIB, { start: 514_000 })])],
  );
  expect(
    diffText(answer, { ...OPTIONS, source: '--from b' })
      .split('\n')
      .slice(-2),
  ).toEqual(['First, on that machine: kdump-mem procs --watch --live', 'Next: kdump-mem procs --pid 812 --from b']);
});

test('names a process by its growth in the category, and only if that is a large part', () => {
  const look = (minute: number, shared: number, ...processes: readonly MadeProcess[]) => [
    memoryAnswerAt(minute, { shared }),
    procsAnswerAt(minute, processes),
  ];
  const grown = (after: MadeProcess) => headOf(look(2, 0, java(MIB)), look(3, 102_400, after));
  // The growth of anonymous memory is not growth of shared memory.
  expect(grown(java(151 * MIB))).toContain(
    'Largest increase: shared memory and tmpfs +400 MiB (no process maps a quarter of this growth).',
  );
  expect(grown(java(301 * MIB, { shmem: 300 * MIB }))).toContain(
    'shared memory and tmpfs +400 MiB (led by pid 812 (java), +300 MiB shared memory PSS).',
  );
  expect(grown(java(51 * MIB, { shmem: 50 * MIB }))).toContain('(no process maps a quarter');
  // The text makes no statement about processes that are not listed.
  const [memory, procs] = look(3, 102_400);
  expect(headOf(look(2, 0), [memory, { ...(procs as object), allListed: false }])).toMatch(
    /: shared memory and tmpfs \+400 MiB\. Free and reclaimable /,
  );
});

test('reports a loss that no category explains', () => {
  expect(headOf([memoryAnswerAt(2)], [memoryAnswerAt(47, { unattributed: 256_100 })])).toContain(
    'Free memory fell by 1000 MiB (-22.2 MiB/min) to 2.06 GiB (54 % of memory) between 10:02 and 10:47 UTC on 2026-11-20. Loss not attributed: categories with an owner grew by only 0 in total; unattributed memory grew by 1000 MiB.',
  );
});

test.each([
  ['the process that grew', [java(100 * MIB)], { anonymous: 251_200 }, 'procs --pid 812', 'procs --watch'],
  ['what grew without an owner', [], { unattributed: 251_200 }, 'triage', 'triage'],
  ['nothing where free memory rose', [], { anonymous: 100_000 }, undefined, undefined],
] as const)('the next command leads to %s', (_, processes, grown, command, live) => {
  const answer = compared(
    [memoryAnswerAt(2), procsAnswerAt(2, processes)],
    [
      memoryAnswerAt(3, grown),
      procsAnswerAt(
        3,
        processes.map((one) => ({ ...one, pss: 300 * MIB })),
      ),
    ],
  );
  const next = (source?: string) => {
    const text = diffText(answer, { ...OPTIONS, ...(source !== undefined && { source }) });
    return text.split('\n').filter((line) => /^(?:Next|On that machine): /.test(line));
  };
  const there = `On that machine: kdump-mem ${live} --live`;
  expect(next('--from b')).toEqual(command === undefined ? [] : [`Next: kdump-mem ${command} --from b`, there]);
  // A machine that crashed has no such process.
  expect(next('--vmcore b')).toEqual(command === undefined ? [] : [`Next: kdump-mem ${command} --vmcore b`]);
  expect(next()).toEqual([]);
});

test('names the pipes that can hold what no category explains', () => {
  const pipes = [{ pid: 7, comm: 'hoard', processes: 1, pipes: 1000, mostBytes: 1000 * 2 ** 20 }];
  const after = memoryAnswerAt(47, { unattributed: 256_100 });
  expect(headOf([memoryAnswerAt(2)], [{ ...after, pipes }])).toContain(
    'unattributed memory grew by 1000 MiB (pipes of pid 7 (hoard) can hold up to 1000 MiB).',
  );
  const small = [{ ...pipes[0]!, mostBytes: 2 ** 20 }];
  expect(headOf([memoryAnswerAt(2)], [{ ...after, pipes: small }])).toContain('memory grew by 1000 MiB.');
});

test('reports categories that cannot be compared and those that can', () => {
  const [before, after] = [memoryAnswerAt(2), memoryAnswerAt(47, { sockets: 257_000 })];
  const text = JSON.stringify(after).replaceAll('network-sockets', 'of-later');
  const answer = compared([before], [JSON.parse(text)]);
  expect(diffText(answer, OPTIONS).split('\n', 1)[0]).toMatch(
    /fell by 1000 MiB .* Largest increase: categories that cannot be compared \+1000 MiB\.$/,
  );
  expect(answer.notes.map(noteWords)).toEqual([
    'change unknown for 2 categories that are missing in the first or last input',
  ]);
});

test('does not crash on very many categories in a file', () => {
  const children = Array.from({ length: 130_000 }, (_, at) => ({ category: `d${at}`, bytes: 4096, children: [] }));
  const tree = { category: 'memory', bytes: 4096 * children.length, children };
  expect(text(categoryBlock(diffCategories([tree, tree], true, null), false, OPTIONS))).toMatch(/^CATEGORY/);
});

test('sums name the measures that they include', () => {
  const sums = (...after: (number | null)[]) => {
    const looks = [after.map(() => MIB), after].map((sizes, at) => [
      procsAnswerAt(
        2 + 45 * at,
        sizes.map((pss, pid) => java(MIB, { pid: pid + 1, pss })),
      ),
    ]);
    return diffText(compared(...looks), OPTIONS);
  };
  expect(sums(2 * MIB)).toContain('1 process (PSS): increases +');
  expect(sums(null)).toContain('1 process (RSS): ');
  expect(sums(2 * MIB, null)).toMatch(/2 processes \((PSS or RSS|RSS or PSS)\): /);
});

test('does not report "no growth" for unknown data', () => {
  const some = { ...procsAnswerAt(2, [java(MIB)]), allListed: false };
  const head = headOf([some], [procsAnswerAt(47, [java(MIB), java(500 * MIB, { pid: 9 })])]);
  expect(head).toMatch(/No known growth; the change of 1 listed item is unknown/);
});

test('reports unattributed memory together with attributed memory', () => {
  const before = memoryAnswerAt(2, { dentries: 300_000 });
  const after = memoryAnswerAt(47, { dentries: 44_000, anonymous: 456_000, unattributed: 256_100 });
  expect(headOf([before], [after])).toMatch(
    / Largest increases: anonymous \+1000 MiB, unattributed \+1000 MiB\. Free and reclaimable /,
  );
  const more = memoryAnswerAt(47, { dentries: 44_000, anonymous: 406_000, unattributed: 306_100 });
  expect(headOf([before], [more])).toMatch(
    / Largest increases: unattributed \+\S+ GiB, anonymous \+\d+ MiB\. Free and reclaimable /,
  );
});

test('small growth beside rising free memory is none, unless something without an owner grew', () => {
  const head = (dentries: number, more: Parameters<typeof memoryAnswerAt>[1]) =>
    headOf([memoryAnswerAt(2, { dentries })], [memoryAnswerAt(47, { dentries: 44_000, ...more })]);
  // In pages, of 1,000,000.
  expect(head(300_000, { anonymous: 200_500 })).toMatch(/ rose by .*\. No category grew by 0\.1 % of memory\.$/);
  expect(head(300_000, { anonymous: 202_000 })).toMatch(/ rose by .* Largest increase: anonymous \+/);
  expect(head(300_000, { anonymous: 200_500, unattributed: 100_000 })).not.toContain('No category grew');
});

test('reports an unchanged, a rising and an unknown amount of free memory', () => {
  expect(headOf([memoryAnswerAt(2)], [memoryAnswerAt(47)])).toContain(
    'Free memory did not change significantly between',
  );
  expect(headOf([memoryAnswerAt(2)], [memoryAnswerAt(47, { anonymous: 100 })])).toContain(
    'Free memory rose by 781 MiB (+17.4 MiB/min) to 3.80 GiB (100 % of memory) between',
  );
  expect(headOf([procsAnswerAt(2, [java(MIB)])], [procsAnswerAt(3, [java(3 * MIB)])])).toContain(
    'Change of free memory unknown. Largest increase: pid 812 (java), +2.00 MiB PSS between',
  );
  expect(headOf([memoryAnswerAt(2)], [procsAnswerAt(3, [])])).toContain(
    'No list is in both inputs (the warnings say why): nothing can be compared',
  );
});

test('does not report a different boot as growth', () => {
  const answer = memoryAnswerAt(47, { anonymous: 251_200 });
  const later = { ...answer, origin: answer.origin && { ...answer.origin, bootId: 'else' } };
  expect(headOf([memoryAnswerAt(2)], [later])).toContain(
    'The last input has 200 MiB less free memory than the first (different boots, ',
  );
});

const LOOKS = [2, 20, 47].map((minute, at) => [
  memoryAnswerAt(minute, { anonymous: 200_000 + at * 50_000, dentries: 3000 + at }),
  procsAnswerAt(minute, [
    java((100 + at * 195) * MIB),
    ...(at === 2 ? [java(MIB, { pid: 99, start: 700_000, comm: 'n\u001b[31mew' })] : []),
    ...(at === 0 ? [java(2 * MIB, { pid: 98 })] : []),
    java(1, { pid: 97, pss: null }),
  ]),
]);

test('tables fit into 80 columns, and hostile text is escaped', () => {
  const text = diffText(compared(...LOOKS), { ...OPTIONS, width: 80 });
  expect(text.split('\n').filter((line) => columnsOf(line) > 80)).toEqual([]);
  expect(text).not.toContain('\u001b');
  expect(text).toMatchInlineSnapshot(`
    "Free memory fell by 391 MiB (-8.68 MiB/min) to 2.65 GiB (70 % of memory) between
    10:02 and 10:47 UTC on 2026-11-20. Largest increase: anonymous +391 MiB (led by
    pid 812 (java), +390 MiB anonymous PSS).

    CATEGORY                  BEFORE     AFTER     CHANGE   RATE/MIN  TREND
    free                    3.03 GiB  2.65 GiB   -391 MiB  -8.68 MiB
      buddy allocator       3.03 GiB  2.65 GiB   -391 MiB  -8.68 MiB
    applications and files   781 MiB  1.14 GiB   +391 MiB  +8.68 MiB  grew each time
      anonymous              781 MiB  1.14 GiB   +391 MiB  +8.68 MiB  grew each time
    kernel                  18.8 MiB  18.8 MiB  +8.00 KiB     +182 B  grew each time
    1 more category changed, +8.00 KiB in total (-v lists it). 3 categories that did
    not change are not listed.

    PROCESS                  AFTER     CHANGE   RATE/MIN  TREND           STATUS
    pid 812 (java)         490 MiB   +390 MiB  +8.67 MiB  grew each time
    pid 98 (java)                0  -2.00 MiB                             gone
    pid 99 (n\\x1b[31mew)  1.00 MiB  +1.00 MiB                             new
    Hidden at this width: column BEFORE (widen the terminal or pipe the output).
    4 processes (PSS or RSS): increases +391 MiB, decreases -2.00 MiB.

    2 slab caches: increases +8.00 KiB, decreases 0. 1 changed a little (-v lists
    them).

    2 vmalloc callers: unchanged."
  `);
});

test('-v shows all categories; --limit shortens a list', () => {
  const answer = compared(...LOOKS);
  expect(diffText(answer, { ...OPTIONS, verbose: true })).toMatch(/^ {4}vmalloc/m);
  expect(diffText(answer, OPTIONS)).not.toContain('vmalloc  ');
  expect(diffText(answer, { ...OPTIONS, limit: 1 })).toContain('1 of 3 that changed are listed: --limit 3 lists all.');
});

test('JSON conforms to its schema and has a message for each note', () => {
  const answer = compared(...LOOKS);
  const json = diffSchema.parse(diffJson(answer));
  expect(json).toMatchObject({ seconds: 2700, sameBoot: true, loss: { explanation: 'categories' } });
  expect(json.inputs.map(({ source }) => source)).toEqual(['vmcore', 'vmcore', 'vmcore']);
  expect(json.processes?.items[0]).toMatchObject({
    pid: 812,
    startTicks: 100,
    measure: 'pss',
    status: 'both',
    grewEachTime: true,
    beforeBytes: 100 * MIB,
    afterBytes: 490 * MIB,
    changeBytes: 390 * MIB,
    growth: null,
  });
  expect(json.processes?.items[0]?.perMinuteBytes).toBeCloseTo((390 * MIB) / 45);
  expect(json.sockets).toBeNull();
  expect(json.warnings).toEqual(answer.notes.map((note) => ({ code: note.code, message: noteWords(note) })));
  expect(json.warnings.map(({ code }) => code)).toEqual(['lesser-measure']);
});

test('for two hosts, names both and reports no growth', () => {
  const other = (minute: number, host: string, anonymous: number) => {
    const answer = memoryAnswerAt(minute, { anonymous });
    return [{ ...answer, origin: { ...answer.origin, host, bootId: host } }];
  };
  expect(headOf(other(2, 'db1', 200_000), other(3, 'db2', 251_200))).toBe(
    'The last input has 200 MiB less free memory than the first (different hosts: db1, db2). Largest increase: anonymous +200 MiB.',
  );
});

test('does not list empty sockets, and does not report unread ones as empty', () => {
  const diff = { items: [], grewBytes: 0, shrankBytes: 0, between: 0, missed: 0, unknown: 0, otherwise: 0 };
  expect(text(listBlock('sockets', { ...diff, complete: true }, false, OPTIONS))).toContain(
    'No socket held memory in the first or last input.',
  );
  expect(text(listBlock('sockets', { ...diff, complete: false }, false, OPTIONS))).toContain(
    'No socket that could be read held memory',
  );
});

test('sockets that changed a little are counted, not listed', () => {
  const who: Who = {
    kind: 'socket',
    inode: 5,
    netns: 1,
    family: 'AF_INET',
    protocol: 'TCP',
    local: '127.0.0.1:5',
    peer: '127.0.0.1:9',
    holder: null,
  };
  const words = (changeBytes: number, count = 1) => {
    const item = { who, changeBytes, measure: 'pinned', status: 'both', bytes: [0, changeBytes] } as never;
    const sums = { grewBytes: changeBytes, shrankBytes: 0, between: 0, missed: 0, unknown: 0, otherwise: 0 };
    const items = Array.from({ length: count }, () => item);
    return text(listBlock('sockets', { items, complete: true, ...sums }, false, { ...OPTIONS, least: 1000 }));
  };
  expect(words(999)).toMatch(/^1 socket .*increases \+999 B, .* 1 changed a little \(-v lists /);
  expect(words(1000)).toContain('127.0.0.1:5');
  // Many small ones can be the loss.
  expect(words(600, 2)).toContain('127.0.0.1:5');
});

test('a socket names the process at its other end, where both ends are of one network namespace', () => {
  const socket = (pid: number, local: string, peer: string, netns: number | null = 1): Who => ({
    kind: 'socket',
    inode: pid,
    netns,
    family: 'AF_INET',
    protocol: 'TCP',
    local,
    peer,
    holder: { pid, comm: 'a\x1b', fd: 3 },
  });
  const [sender, reader] = [socket(7, '127.0.0.1:5', '127.0.0.1:9'), socket(8, '127.0.0.1:9', '127.0.0.1:5')];
  const words = (all: Who[]) => whoWords(sender, peerHolders(all)(sender));
  expect(words([sender, reader])).toBe('pid 7 (a\\x1b) fd 3: TCP 127.0.0.1:5, peer 127.0.0.1:9 (pid 8 a\\x1b)');
  const udp: Who = { ...reader, protocol: 'UDP' } as Who;
  for (const others of [
    [],
    [udp],
    [socket(8, '127.0.0.1:9', '127.0.0.1:5', 2)],
    [socket(8, '127.0.0.1:9', '127.0.0.1:6')],
  ])
    expect(words([sender, ...others])).toBe('pid 7 (a\\x1b) fd 3: TCP 127.0.0.1:5, peer 127.0.0.1:9');
  // Unnamed unix sockets are no ends of each other, nor are sockets without a connection.
  const unnamed = (pid: number, end: string, protocol: string) => ({ ...socket(pid, end, end), protocol }) as Who;
  for (const [end, protocol] of [
    ['*', 'UNIX'],
    ['*:*', 'TCP'],
    ['0.0.0.0:*', 'UDP'],
  ] as const)
    expect(peerHolders([unnamed(7, end, protocol), unnamed(8, end, protocol)])(unnamed(7, end, protocol))).toBeNull();
  // Unknown namespaces need not be the same one.
  const unknown = socket(7, '127.0.0.1:5', '127.0.0.1:9', null);
  expect(peerHolders([unknown, socket(8, '127.0.0.1:9', '127.0.0.1:5', null)])(unknown)).toBeNull();
});
