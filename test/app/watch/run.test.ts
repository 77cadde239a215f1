import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Watch } from '../../../src/app/watch/run.js';
import { HostError } from '../../../src/base/errors.js';
import { RHYTHMS, week } from '../../growth/watch/made-up-weeks.js';
import { scratchFolder } from '../../support/scratch.js';

const folder = scratchFolder('watch-run-');

const [made] = week({ rhythm: RHYTHMS['a wave, and little noise']!, seed: 1, days: 1 });

test('reports a lost sample in the metrics file', async () => {
  const prometheus = join(folder, 'watch.prom');
  const metrics: string[] = [];
  let sampleCount = 0;
  const sampler = {
    resume: () => undefined,
    take: async () => {
      if (sampleCount > 0) metrics.push(readFileSync(prometheus, 'utf8'));
      sampleCount++;
      if (sampleCount === 2) throw new HostError('unreadable', 'no descriptor was left');
      if (sampleCount === 3 || !made) throw new Error('that is enough');
      return made;
    },
  };
  const options = { interval: 0.001, rotate: 1, keep: 1, source: 'counters', limit: 1 } as const;
  await expect(new Watch({ ...options, prometheus }, sampler).run()).rejects.toThrow('enough');
  const up = metrics.map((text) => /^kdump_mem_watch_up (\d)$/m.exec(text)?.[1]);
  expect(up).toEqual(['1', '0']);
  expect(metrics[1]).toContain('kdump_mem_watch_lost_samples_total 1\n');
});
