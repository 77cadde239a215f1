import { describe, expect, test } from 'vitest';
import { WalkError } from '../../../src/base/errors.js';
import { didYouMean, findPlace, nearestNames, parsePlace, type SymbolSource } from '../../../src/walk/values/place.js';

const SYMBOLS: Readonly<Record<string, readonly bigint[]>> = {
  init_task: [0xffffffff81000000n],
  abc: [0xffffffff81000100n],
  twice: [0xffffffff81000200n, 0xffffffff81000300n],
  current_task: [0x1fb80n],
  __per_cpu_start: [0n],
  __per_cpu_end: [0x34000n],
  __per_cpu_offset: [0xffffffff82000000n],
  __cpu_possible_mask: [0xffffffff83000000n],
};

const kernel: SymbolSource = {
  symbol: (name) => (SYMBOLS[name]?.length === 1 ? SYMBOLS[name][0] : undefined),
  symbols: (name) => (SYMBOLS[name] ?? []).map((address) => ({ type: 't', address })),
  struct: (name) => ({ name, size: 8, members: [], member: () => undefined }),
  read: (address) => {
    const view = new DataView(new ArrayBuffer(8));
    // CPUs 0 and 2.
    if (address === 0xffffffff83000000n) view.setUint8(0, 0b101);
    else view.setBigUint64(0, 0xffff888000000000n + address - 0xffffffff82000000n, true);
    return view;
  },
};

function find(text: string) {
  const written = parsePlace(text);
  if (!written) throw new Error(`${text} is no place`);
  return findPlace(kernel, written);
}

describe('a place in memory', () => {
  test.each([
    ['0x1000', 0x1000n],
    ['ffffffff81000010', 0xffffffff81000010n],
    ['0xffffffffffffffff+2', 1n],
    ['init_task', 0xffffffff81000000n],
    ['init_task+16', 0xffffffff81000010n],
    ['init_task+0x10', 0xffffffff81000010n],
    // A name that is also a hex number means the symbol if it exists, otherwise the number.
    ['abc', 0xffffffff81000100n],
    ['0xabc', 0xabcn],
    ['abcd', 0xabcdn],
    ['current_task:2', 0xffff888000000010n + 0x1fb80n],
    ['current_task:0+8', 0xffff888000000000n + 0x1fb88n],
  ])('%s', (text, address) => {
    expect(find(text).address).toBe(address);
  });

  test.each(['', 'a b', '12x', '0x', 'init_task+', 'init_task-8', '0x1:2', 'x'.repeat(600), 'a\nb'])(
    'rejects %j',
    (text) => {
      expect(parsePlace(text)).toBeUndefined();
    },
  );

  test.each([
    ['nothing', 'no-such-symbol'],
    ['twice', 'ambiguous-symbol'],
    ['current_task', 'ambiguous-symbol'],
    ['init_task:0', 'no-such-symbol'],
    ['current_task:1', 'no-such-cpu'],
    ['current_task:3', 'no-such-cpu'],
    ['current_task:9999', 'no-such-cpu'],
  ])('refuses %s: %s', (text, code) => {
    expect(() => find(text)).toThrow(expect.objectContaining({ code }));
    expect(() => find(text)).toThrow(WalkError);
  });
});

const NAMES = [
  'sk_buff',
  'sk_buff_head',
  'skb_shared_info',
  'sock',
  'socket',
  'tcp_sock',
  'udp_sock',
  'linux_banner',
  'init_task',
  'init_net',
  '__per_cpu_offset',
  'task_struct',
  'len',
];

test.each([
  ['sk_buf', ['sk_buff', 'sk_buff_head']],
  ['linux_baner', ['linux_banner']],
  ['Linux_Banner', ['linux_banner']],
  ['sokc', ['sock']],
  ['init_taks', ['init_task']],
  ['per_cpu_offset', ['__per_cpu_offset']],
  ['shared', ['skb_shared_info']],
  ['lne', ['len']],
  ['ring', []],
  ['hared', []],
  ['zzzzzzzz', []],
  ['', []],
  ['x'.repeat(500), []],
])('suggests for %s the names %j', (wanted, near) => {
  expect(nearestNames(wanted, NAMES).slice(0, near.length)).toEqual(near);
  if (near.length === 0) expect(nearestNames(wanted, NAMES)).toEqual([]);
});

test('suggests at most three names, each once', () => {
  const many = Array.from({ length: 9 }, (_, index) => `name${index % 5}`);
  expect(nearestNames('name', many)).toEqual(['name0', 'name1', 'name2']);
});

test('finds one name among 200,000, and stops at an endless symbol table', () => {
  function* names(count: number) {
    for (let index = 0; index < count; index++) yield `some_function_of_kernel_${index}`;
    yield 'tcp_recvmsg';
  }
  expect(nearestNames('tcp_recvmgs', names(200_000))).toEqual(['tcp_recvmsg']);
  const long = 'a'.repeat(127);
  function* endless() {
    for (;;) yield `${long}b`;
  }
  expect(nearestNames(`${long.slice(1)}c`, endless())).toEqual([`${long}b`]);
});

test('formats the suggestions for an error', () => {
  expect(didYouMean([])).toBe('');
  expect(didYouMean(['a'])).toBe('; did you mean a?');
  expect(didYouMean(['a', 'b', 'c'])).toBe('; did you mean a, b or c?');
});
