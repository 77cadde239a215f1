import type { Watched } from '../../../src/answers/watch/words.js';
import { WatchGrowth } from '../../../src/growth/watch/watch.js';
import { RHYTHMS, type WeekOptions, week } from '../../growth/watch/made-up-weeks.js';

const rhythm = RHYTHMS['a wave, and little noise']!;

/** A machine that was watched for some days, as stored. */
export function watchedFor(options: Partial<WeekOptions>, comm = 'web'): Watched {
  const growth = new WatchGrowth();
  for (const sample of week({ rhythm, seed: 1, ...options })) {
    const { look } = sample;
    const processes = look.processes.map((one) => ({ ...one, comm: one.comm === 'web' ? comm : one.comm }));
    growth.add({ ...sample, look: { ...look, processes } });
  }
  const answer = growth.answer();
  if (!answer) throw new Error('there was no sample');
  return { answer, ended: 'stored', store: { file: 'x', tornLines: 0, notStored: 0 }, warnings: [] };
}
