import type { GrownCategory } from '../../growth/watch/categories.js';
import {
  courseOf,
  endedJson,
  grownProcessJson,
  growthJson,
  lossJson,
  machineJson,
} from '../growth/json.js';
import type { WatchCategoryJson, WatchJson } from './schema.js';
import { isComplete, type Watched } from './watched.js';
import { doubtWords } from './words.js';

export function watchJson(watched: Watched): WatchJson {
  const { answer, ended, store, warnings } = watched;
  const { growth, gaps, categories, doubts } = answer;
  return {
    schema: 'kdump-mem.watch/1',
    verdict: answer.verdict,
    doubts: doubts.map((doubt) => ({ code: doubt.code, message: doubtWords(doubt) })),
    atMostPerSecond: answer.atMost,
    machine: machineJson(growth.machine),
    from: answer.from.toISOString(),
    samples: growth.samples,
    seconds: answer.seconds,
    source: answer.source ?? null,
    ...lossJson(growth.loss),
    categories: categories.map(categoryJson),
    processes: growth.processes.map(grownProcessJson),
    endedGrowing: growth.endedGrowing.map(endedJson),
    gaps: { count: gaps.count, seconds: gaps.seconds, longestSeconds: gaps.longest },
    lostSamples: answer.lost,
    boots: growth.boots,
    earlierBoots: answer.earlier.map(
      ({ bootId, from, to, samples, seconds, verdict, growing }) => ({
        bootId,
        from: from.toISOString(),
        to: to.toISOString(),
        samples,
        seconds,
        verdict,
        growing: growing.map(categoryJson),
      }),
    ),
    notLater: growth.notLater,
    pidsReused: growth.pidsReused,
    store: store && { file: store.file, tornLines: store.torn, notStored: store.notStored },
    ended,
    complete: isComplete(watched),
    warnings: [...warnings],
  };
}

function categoryJson({
  category,
  group,
  bytes,
  reclaimable,
  trend,
}: GrownCategory): WatchCategoryJson {
  return {
    category,
    group,
    bytes,
    reclaimable,
    growth: growthJson(trend?.growth),
    course: courseOf(trend),
  };
}
