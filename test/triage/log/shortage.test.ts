import { expect, test } from 'vitest';
import { readChoice } from '../../../src/triage/log/shortage.js';

const START = 'oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/a,mems_allowed=0';

test('paths and names that hold commas and what comes behind them', () => {
  const end = ',task_memcg=/b,task=/c,task=x,pid=1,uid=2,pid=3,uid=4';
  expect(readChoice(`${START},oom_memcg=/a,task_memcg=/b${end}`)).toMatchObject({
    group: '/a,task_memcg=/b',
    own: '/b,task=/c',
    pid: '3',
  });
  expect(readChoice(`${START},global_oom${end}`)).toMatchObject({
    group: undefined,
    own: '/b,task=/c',
    pid: '3',
  });
});

test('a line that lacks a part says nothing', () => {
  const whole = `${START},global_oom,task_memcg=/b,task=c,pid=3,uid=4`;
  expect(readChoice(whole)).toBeDefined();
  for (const part of [',global_oom', ',task_memcg=', ',task=', ',pid=3', ',uid=4', 'oom-kill:'])
    expect(readChoice(whole.replace(part, ''))).toBeUndefined();
});

test('a kernel without memcgs names none', () => {
  expect(readChoice(`${START.replace('MEMCG', 'CPUSET')},task=z,pid=7,uid=3`)).toMatchObject({
    constraint: 'CPUSET',
    cpuset: '/a',
    memsAllowed: '0',
    comm: 'z',
    own: undefined,
  });
});

test('a log full of lines that nearly fit comes to its end', () => {
  const line =
    START +
    ',oom_memcg='.repeat(20) +
    ',task_memcg='.repeat(23) +
    ',task='.repeat(40) +
    ',pid=1'.repeat(40);
  // Five minutes, where each part is sought anew behind all that it may follow.
  const chosen = Array.from({ length: 20_000 }, () => readChoice(line));
  expect(chosen.every((choice) => choice === undefined)).toBe(true);
});
