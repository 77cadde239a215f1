import { expect, test } from 'vitest';
import type { MemoryAnswer, SocketEstimate } from '../../../src/account/memory/answer.js';
import { cachesTable, hugePagesTable } from '../../../src/answers/memory/depths/tables.js';
import { memoryJson } from '../../../src/answers/memory/json.js';
import { groupsWords } from '../../../src/answers/memory/sentences.js';
import { memoryText } from '../../../src/answers/memory/text.js';
import { unattributedBlocks } from '../../../src/answers/memory/unattributed/document.js';
import { blockTexts } from '../../../src/answers/text/blocks.js';
import { memorySchema } from '../../../src/contracts/memory.js';
import { answerOf } from './answer.js';

const PAGE = 4096;

const options = { source: '--vmcore dump', width: null };

test('the first line reports whether memory is short, and the largest category', () => {
  const text = memoryText(answerOf({ 'free-buddy': 256, anonymous: 512, vmalloc: 768 }), options);
  expect(text.split('\n')[0]).toBe(
    'In this dump, memory is not short: 1.00 MiB of 6.00 MiB is free (17 %). Largest use: vmalloc, 3.00 MiB (50 %).',
  );
});

test('where memory is short, what takes most stands beside what is unusual, once', () => {
  const first = (frames: Parameters<typeof answerOf>[0]) => memoryText(answerOf(frames), options).split('\n')[0];
  expect(first({ 'free-buddy': 10, anonymous: 60_000, unattributed: 20_000 })).toMatch(
    /^In this dump, memory is short: .*\. Unusual, so check it first: memory without a known owner.*\. Largest use: anonymous memory of processes, 234 MiB /,
  );
  expect(first({ 'free-buddy': 10, anonymous: 20_000, unattributed: 60_000 })).not.toContain('Largest use');
  expect(first({ 'free-buddy': 60_000, anonymous: 60_000, unattributed: 20_000 })).toMatch(
    /^In this dump, memory is not short: .*But unusual/,
  );
});

test('OOM kills since boot are said beside memory that is not short now', () => {
  const answer = answerOf({ 'free-buddy': 256, anonymous: 512, vmalloc: 768 });
  const origin = { at: null, host: 'web1', bootId: null, uptimeSeconds: 5 };
  const first = (oomKills?: number) =>
    memoryText({ ...answer, origin: { ...origin, ...(oomKills !== undefined && { oomKills }) } }, options).split(
      '\n',
    )[0];
  expect(first(2)).toMatch(
    /^In this dump, memory is not short: .* \(50 %\)\. Earlier: 2 OOM kills since boot \(triage shows those that the log still has\)\.$/,
  );
  expect(first(1)).toMatch(/ Earlier: 1 OOM kill since boot \(triage/);
  for (const none of [0, undefined]) expect(first(none)).toMatch(/^In this dump, memory is not short: .* \(50 %\)\.$/);
});

test('a cache of 1 % of memory is described, with where its owner can be seen', () => {
  const cache = {
    name: 'nf_conntrack',
    slabs: 1,
    used: 1,
    slots: 1,
    objectSize: 256,
    slotSize: 256,
    reclaimable: false,
  };
  const described = (bytes: number, source: MemoryAnswer['source']) => {
    const answer = answerOf({ anonymous: 1000 });
    return cachesTable({ ...answer, source, caches: [{ ...cache, bytes }] }, { limit: 20, width: null })
      .split('\n')
      .at(-1);
  };
  expect(described(10 * PAGE, 'kcore')).toMatch(/^nf_conntrack .*Owner: conntrack -C/);
  expect(described(10 * PAGE, 'vmcore')).toMatch(/^nf_conntrack .*On that machine: conntrack -C/);
  expect(described(9 * PAGE, 'kcore')).toMatch(/^OBJECTS: /);
});

test('the largest use is not what every kernel has', () => {
  const [first] = memoryText(answerOf({ 'free-buddy': 256, image: 900, vmalloc: 768 }), options).split('\n');
  expect(first).toContain('Largest use except kernel image: vmalloc, 3.00 MiB');
});

test.each([
  [{ 'page-cache': 256, anonymous: 512 }, '1.00 MiB page cache, 2.00 MiB applications and shared memory, '],
  [{ anonymous: 512 }, 'free, 2.00 MiB applications and shared memory, '],
])('the sum of triage has the page cache apart: %j', (pages, words) => {
  expect(groupsWords(answerOf({ 'free-buddy': 256, ...pages }), false)).toContain(words);
});

test('the sum of triage names the largest part of the kernel, if it is much and not what each kernel has', () => {
  const words = (pages: Parameters<typeof answerOf>[0]) =>
    groupsWords(answerOf({ 'free-buddy': 1000, ...pages }), false);
  expect(words({ 'network-sockets': 100, vmalloc: 60, image: 300 })).toContain(
    '1.80 MiB kernel and reserved at boot (400 KiB of it socket queues).',
  );
  expect(words({ vmalloc: 40, image: 300 })).toMatch(/ 1\.33 MiB kernel and reserved at boot\.$/);
  expect(words({ vmalloc: 100 })).toContain('400 KiB kernel and reserved at boot (400 KiB of it vmalloc).');
  // Nothing is unusual of a small machine with a crash kernel.
  expect(words({ 'crash-kernel': 100 })).toContain('reserved at boot (400 KiB of it for the crash kernel).');
  expect(words({ 'crash-kernel': 40 })).toMatch(/ reserved at boot\.$/);
});

test('the process that has all of the socket queues is the next command', () => {
  const queues = (bytes: number) => {
    const owners = [{ kind: 'process' as const, name: 'a', pid: 7, bytes }];
    const answer = answerOf({ 'free-buddy': 100, 'network-sockets': 100 }, { owners, next: 'x' }, 'network-sockets');
    return memoryText(answer, options).split('\n').at(-1);
  };
  expect(queues(100 * PAGE)).toBe(`Next: kdump-mem skb --pid 7 ${options.source}`);
  expect(queues(99 * PAGE)).toBe(`Next: kdump-mem sockets --by process ${options.source}`);
});

test('pipes that can hold little are left to -v', () => {
  const pipes = (mostBytes: number) => [{ pid: 7, comm: 'a', pipes: 3, mostBytes, processes: 1 }];
  const text = (mostBytes: number, verbose = false) =>
    memoryText({ ...answerOf({ 'free-buddy': 1000 }), pipes: pipes(mostBytes) }, { ...options, verbose });
  expect(text(10 * PAGE)).toContain('Pipes: pid 7 (a) has 3 open, which can hold up to 40.0 KiB');
  expect(text(10 * PAGE - 1)).not.toContain('Pipes: ');
  expect(text(10 * PAGE - 1, true)).toContain('Pipes: ');
});

test('counters have the kernel image and struct pages in the row of what boot reserved', () => {
  const answer = answerOf({ 'free-buddy': 100, 'reserved-other': 100 });
  const row = /^reserved at boot .*$/m;
  expect(row.exec(memoryText({ ...answer, source: 'counters' }, options))?.[0]).toMatch(
    /400 KiB +50 % +\(also kernel image, struct pages\)$/,
  );
  expect(row.exec(memoryText({ ...answer, source: 'pageflags' }, options))?.[0]).not.toContain('image');
});

test('empty categories have no row', () => {
  const text = memoryText(answerOf({ 'free-buddy': 256 }), options);
  expect(text).not.toContain('vmalloc');
  expect(text).toMatch(/^free +1\.00 MiB/m);
});

test('small categories are one row, but for those that a sentence names', () => {
  const small = { 'network-sockets': 5, vmalloc: 4, percpu: 3, 'kernel-stacks': 2 } as const;
  const frames = { 'free-buddy': 5000, 'free-uninitialized': 256, anonymous: 5000, image: 900, ...small };
  const elsewhere = [{ category: 'vmalloc', frames: 1, bytes: PAGE }] as const;
  const plain = memoryText(answerOf(frames), options);
  expect(plain).toMatch(/^ {2}4 smaller categories \(-v\) +56\.0 KiB/m);
  expect(plain).not.toContain('network: socket queues');
  const named = memoryText(answerOf(frames, { elsewhere }, 'network-sockets'), options);
  expect(named).toMatch(/^ {2}network: socket queues +20\.0 KiB/m);
  expect(named).toMatch(/^ {2}vmalloc +16\.0 KiB/m);
  expect(named).toMatch(/^ {2}2 smaller categories \(-v\) +20\.0 KiB/m);
  expect(named).toContain('4.00 KiB in “vmalloc”');
  // A small part explains nothing.
  const unused = 'MiB of the free memory was never used since boot, which is normal:';
  expect(named).not.toContain(unused);
  expect(memoryText(answerOf(frames), { ...options, verbose: true })).toContain(`1.00 ${unused}`);
  expect(memoryText(answerOf({ ...frames, 'free-uninitialized': 1024 }), options)).toContain(`4.00 ${unused}`);
});

test('many devices: ten are listed, detached pools among them, and the others are an amount', () => {
  const pool = (at: number, detachedPools: number) => ({
    kind: 'page-pools' as const,
    name: `veth${at}`,
    category: 'network-other' as const,
    bytes: 1024 * PAGE,
    source: 'netlink',
    figures: { pools: 1, detachedPools, detachedBytes: PAGE },
  });
  const named = Array.from({ length: 14 }, (_, at) => pool(at, Number(at === 13)));
  const text = memoryText({ ...answerOf({ 'free-buddy': 2560 }), named }, options);
  expect(text.match(/^ *Page pools of veth\d+:/gm)).toHaveLength(10);
  expect(text).toContain('Page pools of veth13');
  expect(text).toMatch(/Not listed: 4 more rows of page pools, and rings of network interfaces,\s+16\.0 MiB\./);
});

test('an incomplete category is marked, with the reason, even at zero', () => {
  const text = memoryText(
    answerOf({ 'free-buddy': 256 }, { complete: false, why: 'a \u001b[31mlist is torn' }),
    options,
  );
  expect(text).toMatch(/^ {2}vmalloc +≥ 0/m);
  expect(text).toContain('Incomplete: “vmalloc” (a ');
  expect(text).not.toContain('\u001b');
});

test('escapes names from a dump', () => {
  const owners = [{ kind: 'caller', name: 'evil\u001b]0;t\u0007', bytes: PAGE }] as const;
  const text = memoryText(answerOf({ vmalloc: 10 }, { owners }), options);
  expect(text).toContain('evil');
  expect(text).not.toContain('\u001b');
});

test('JSON conforms to its schema, and reports differences to counters', () => {
  const json = memoryJson(answerOf({ vmalloc: 10 }, { counterBytes: 8 * PAGE }));
  expect(memorySchema.parse(json)).toEqual(json);
  const kernel = json.memory.children.find((child) => child.category === 'kernel');
  const vmalloc = kernel?.children.find((child) => child.category === 'vmalloc');
  expect(vmalloc).toMatchObject({ counterBytes: 8 * PAGE, differenceBytes: 2 * PAGE });
});

test('an estimate of socket queues has bounds, and reports unreadable sockets', () => {
  const estimate = { sockets: 17, leastBytes: 2 ** 20, likelyBytes: 2 ** 21, mostBytes: 2 ** 22, unread: [] };
  const text = (changes: Partial<SocketEstimate>) =>
    memoryText(
      {
        ...answerOf({ 'free-buddy': 2560, unattributed: 512 }),
        source: 'counters',
        socketEstimate: { ...estimate, ...changes },
      },
      { ...options, source: '--live' },
    );
  expect(text({})).toContain(
    'Part of “unattributed” and of unreclaimable slab (-v): queues of 17 sockets, about 2.00 MiB, between 1.00 MiB and 4.00 MiB (skcheck lists unread ones).',
  );
  // More than 5 % of memory.
  expect(text({})).toContain('Next: skcheck --stale');
  // Beside the processes, from 1 % on.
  const next = (bytes: number) => {
    const socketEstimate = { ...estimate, leastBytes: bytes, likelyBytes: bytes };
    const answer: MemoryAnswer = {
      ...answerOf({ 'free-buddy': 2560, anonymous: 512 }),
      source: 'counters',
      socketEstimate,
    };
    return memoryText(answer, { ...options, source: '--live' })
      .split('\n')
      .at(-1);
  };
  expect(next(31 * PAGE)).toBe('Next: kdump-mem procs --sockets --live');
  expect(next(30 * PAGE)).toBe('Next: kdump-mem procs --live');
  expect(text({ mostBytes: null })).toContain('queues of 17 sockets, about 2.00 MiB, at least 1.00 MiB');
  // Less than 1 % of memory explains nothing, if all sockets were read.
  const little = { leastBytes: PAGE, likelyBytes: PAGE, mostBytes: 2 * PAGE };
  expect(text(little)).not.toContain('queues of');
  expect(text({ ...little, unread: [{ code: 'unreadable', why: 'no ss' }] })).toContain('queues of 17 sockets');
  expect(text({ ...little, mostBytes: null })).toContain('queues of 17 sockets');
  const unread = [{ code: 'unreadable' as const, why: 'ss\u001b: missing' }];
  const lost = { likelyBytes: null, mostBytes: null, unread };
  expect(text(lost)).toMatch(/17 sockets, at least 1\.00 MiB .* Not all sockets are readable: ss.*miss/);
  expect(text(lost)).not.toContain('\u001b');
  expect(text({ ...lost, sockets: 0, leastBytes: 0 })).toContain('Not checked: socket queues (ss');
  expect(text({ sockets: 0, leastBytes: 0, likelyBytes: 0, mostBytes: 0 })).not.toContain('queues of');
});

test('unattributed memory that is mostly socket queues is said to be, once', () => {
  const of = (likelyBytes: number) => {
    const socketEstimate = { sockets: 17, leastBytes: likelyBytes, likelyBytes, mostBytes: 2 ** 30, unread: [] };
    const answer = { ...answerOf({ 'free-buddy': 131_072, unattributed: 131_072 }), source: 'counters' as const };
    return memoryText({ ...answer, socketEstimate }, { ...options, source: '--live' }).split('\n')[0];
  };
  const unowned = 'memory without a known owner (unattributed), 512 MiB (50 %)';
  expect(of(2 ** 28)).toContain(
    `nusual, so check it first: ${unowned}, most of it probably socket queues, which hold about 256 MiB (25 %).`,
  );
  expect(of(2 ** 28 - PAGE)).toContain(
    `nusual, so check it first: socket queues hold about 256 MiB (25 %), in “unattributed” and unreclaimable slab; ${unowned}.`,
  );
});

test('calls only a small unattributed amount normal, on a machine of any size', () => {
  const { kernel } = answerOf({ 'free-buddy': 256 });
  const [MIB, GIB] = [2 ** 20, 2 ** 30];
  const of = (bytes: number, followsBlockBytes = 0) =>
    blockTexts(
      unattributedBlocks(
        {
          schema: 'kdump-mem.memory-unattributed/1',
          kernel: kernel!,
          bytes,
          blocks: 2,
          unreferencedBlocks: 1,
          unreferencedBytes: PAGE,
          followsBlockBytes,
          ramBytes: 1024 * GIB,
          scannedBytes: 1024 * GIB,
          groups: [
            {
              order: 0,
              holder: null,
              content: 'zero',
              followsBlock: followsBlockBytes > 0,
              blocks: 1,
              bytes: PAGE,
              references: 0,
              first: 0xffff_8880_0000_1000n,
              ports: [],
            },
          ],
          complete: true,
          warnings: [],
        },
        20,
        '--vmcore dump',
      ),
      null,
    ).join('\n\n');
  expect(of(MIB)).toContain(
    '1 block (1020 KiB) is in use: kernel memory refers to each, as listed below. 1 block (4.00 KiB) is possibly leaked: nothing refers to',
  );
  expect(of(MIB)).toContain('The dump of an idle machine of any size has about 1 MiB');
  expect(of(MIB, PAGE)).toContain('That is normal: the dump of an idle machine of any size');
  expect(of(MIB)).not.toContain('Next: ');
  expect(of(MIB, PAGE)).toContain('1 block (4.00 KiB) is probably in use');
  expect(of(MIB, PAGE)).not.toContain('leaked');
  expect(of(GIB)).not.toContain('idle machine');
  expect(of(GIB)).toContain('Next: kdump-mem whatis 0xffff888000001000 --vmcore dump');
});

test('the first sentence of --huge has the zeros and the process with most of them', () => {
  const own = { folios: 40, bytes: 80 * 2 ** 20, unreadBytes: 0 };
  const words = (pid: number | null, comm: string | null, zeroBytes: number, unreadBytes = 0) => {
    const owners = [{ ...own, pid, comm, zeroBytes }];
    const hugePages = { ...own, bytes: 160 * 2 ** 20, zeroBytes: 2 * zeroBytes, unreadBytes, owners };
    return hugePagesTable({ hugePages } as unknown as MemoryAnswer, { limit: 20, width: null }).split('\n')[0];
  };
  expect(words(7, 'jav\u001ba', 2 ** 20)).toBe(
    '2.00 MiB of 160 MiB in transparent huge pages is zero, 1.00 MiB of that in pid 7 (jav\\x1ba).',
  );
  expect(words(null, '(several processes)', 2 ** 20, 4096)).toBe(
    'At least 2.00 MiB of 160 MiB in transparent huge pages is zero, 1.00 MiB of that in (several processes). 4.00 KiB is not readable, and may be zero, too.',
  );
  expect(words(null, null, 2 ** 20)).toContain('of that in processes that are unknown.');
  expect(words(7, 'java', 0)).toBe('0 of 160 MiB in transparent huge pages is zero.');
});
