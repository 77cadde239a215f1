import { expect, test } from 'vitest';
import { didYouMean, nearestNames } from '../../../src/walk/values/nearest-names.js';

const NAMES = [
  ...['sk_buff', 'sk_buff_head', 'skb_shared_info', 'sock', 'socket', 'tcp_sock', 'udp_sock'],
  ...['linux_banner', 'init_task', 'init_net', '__per_cpu_offset', 'task_struct', 'len'],
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
])('near %s are %j', (wanted, near) => {
  expect(nearestNames(wanted, NAMES).slice(0, near.length)).toEqual(near);
  if (near.length === 0) expect(nearestNames(wanted, NAMES)).toEqual([]);
});

test('there are three at most, each once, however often it stands there', () => {
  const many = Array.from({ length: 9 }, (_, index) => `name${index % 5}`);
  expect(nearestNames('name', many)).toEqual(['name0', 'name1', 'name2']);
});

test('one that is there is found among 200,000, and a table without an end comes to one', () => {
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

test('they stand in the words of the error', () => {
  expect(didYouMean([])).toBe('');
  expect(didYouMean(['a'])).toBe('; did you mean a?');
  expect(didYouMean(['a', 'b', 'c'])).toBe('; did you mean a, b or c?');
});
