import { expect, test } from 'vitest';
import { ofThreads } from '../../../../src/leaks/record/tracefs/commands.js';

test('treats allocations of other threads as proof of a free, and does not follow them', () => {
  const calls: string[] = [];
  const sink = ofThreads(
    {
      allocated: (place, length, time, tid, stack) =>
        calls.push(['allocated', place, length, time, tid, stack].join(' ')),
      pooled: (frame, time, tid, stack) => calls.push(['pooled', frame, time, tid, stack].join(' ')),
      freed: (place, length, time) => calls.push(['freed', place, length, time].join(' ')),
      skipped: (place, length, time) => calls.push(['skipped', place, length, time].join(' ')),
      lost: (count, time) => calls.push(['lost', count, time].join(' ')),
    },
    (tid) => tid === 7,
  );
  sink.allocated(1, 8, 100, 7, 3);
  sink.allocated(9, 2, 200, 8, 4);
  sink.pooled?.(20, 210, 7, 5);
  sink.pooled?.(21, 220, 8, 5);
  sink.freed(1, 8, 300);
  sink.lost(null, 400);
  expect(calls).toEqual([
    'allocated 1 8 100 7 3',
    'skipped 9 2 200',
    'pooled 20 210 7 5',
    'freed 21 1 220',
    'freed 1 8 300',
    'lost  400',
  ]);
});
