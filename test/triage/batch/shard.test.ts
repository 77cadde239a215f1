import { expect, test } from 'vitest';
import { isOfShard, parseShard } from '../../../src/triage/batch/shard.js';

test.each<[string, NodeJS.ProcessEnv, { index: number; of: number }]>([
  ['0/8', {}, { index: 0, of: 8 }],
  ['7/8', { SLURM_ARRAY_TASK_ID: '3' }, { index: 7, of: 8 }],
  ['slurm/8', { SLURM_ARRAY_TASK_ID: '3' }, { index: 3, of: 8 }],
  ['kubernetes/4', { JOB_COMPLETION_INDEX: '0' }, { index: 0, of: 4 }],
  ['slurm', array(0, 0, 3, 4), { index: 0, of: 4 }],
  ['slurm', array(4, 1, 4, 4), { index: 3, of: 4 }],
  // --array=10-20:5
  ['slurm', array(15, 10, 20, 3), { index: 1, of: 3 }],
  ['slurm', array(9, 9, 9, 1), { index: 0, of: 1 }],
])('accepts --shard %s with %j', (text, environment, shard) => {
  expect(parseShard(text, environment)).toEqual(shard);
});

test.each<[string, NodeJS.ProcessEnv, RegExp]>([
  ['8/8', {}, /counts from 0.*at most 7/],
  ['0/0', {}, /N is a number from 1/],
  ['-1/8', {}, /It takes I\/N/],
  ['1', { SLURM_ARRAY_TASK_ID: '1' }, /It takes I\/N/],
  ['slurm', {}, /not all set/],
  ['slurm/8', {}, /SLURM_ARRAY_TASK_ID is not set/],
  ['slurm/8', { SLURM_ARRAY_TASK_ID: '8' }, /counts from 0/],
  ['kubernetes/8', { JOB_COMPLETION_INDEX: 'x' }, /JOB_COMPLETION_INDEX is not set/],
  ['kubernetes', { JOB_COMPLETION_INDEX: '1' }, /It takes/],
  // --array=1,3,7: task 3 is neither the first, second nor third of a regular sequence.
  ['slurm', array(3, 1, 7, 3), /gaps: use slurm\/N/],
  ['slurm', array(2, 1, 8, 3), /gaps/],
])('refuses --shard %s with %j', (text, environment, why) => {
  expect(parseShard(text, environment)).toMatch(why);
});

function array(id: number, min: number, max: number, count: number): NodeJS.ProcessEnv {
  const all = { ID: id, MIN: min, MAX: max, COUNT: count };
  return Object.fromEntries(Object.entries(all).map(([name, value]) => [`SLURM_ARRAY_TASK_${name}`, `${value}`]));
}

test.each([1, 2, 7, 64])('puts each dump into exactly one of %i shards', (of) => {
  const places = Array.from({ length: 2000 }, (_, index) => `host-${index % 97}/${index}/vmcore`);
  const shards = Array.from({ length: of }, (_, index) => places.filter((place) => isOfShard(place, { index, of })));
  expect(shards.flat().toSorted()).toEqual(places.toSorted());
  for (const shard of shards) expect(shard.length).toBeGreaterThan(2000 / of / 3);
});

test('keeps each other dump in its shard if a dump is added or removed', () => {
  const places = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
  const shard = { index: 1, of: 3 };
  const mine = places.filter((place) => isOfShard(place, shard));
  const later = ['0', ...places.slice(0, 5)].filter((place) => isOfShard(place, shard));
  expect(later.filter((place) => place !== '0')).toEqual(mine.filter((place) => places.indexOf(place) < 5));
});
