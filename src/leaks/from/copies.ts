import { statSync } from 'node:fs';
import { attempt, HostError } from '../../host/error.js';

import { SlabTracesParser } from '../readings/slab-traces.js';
import { parserOf, type ReadingMethod } from '../readings/take.js';
import { Takes } from '../readings/takes.js';
import type { Tally, TallyParser } from '../readings/tally.js';
import type { Recording } from '../recording.js';
import type { CopyOrder } from './copy-order/copy-facts.js';
import { factsOf } from './copy-order/facts-of.js';
import type { FromOrder } from './order.js';
import { packedLines } from './packed-lines.js';

/** Copies of what the kernel keeps by itself, each a reading. @throws {HostError} */
export async function recordingOfCopies(
  method: ReadingMethod,
  order: FromOrder,
): Promise<Recording> {
  const { type, paths, pageSize, maxSurvivors } = order;
  if (paths.length < 2)
    throw new HostError('unreadable', `one copy of ${method} does not tell what grows`, {
      next: 'Give two of them or more, the oldest first.',
    });
  const moments = momentsOf(order);
  const takes = new Takes({ source: paths.join(', '), pageSize, maxSurvivors });
  let earlier = factsOf(method);
  let untold = 0;
  for (const [at, path] of paths.entries()) {
    const facts = factsOf(method);
    await takes.one(moments[at] ?? 0, async (tally) => {
      const parser = copyParser(method, path, tally);
      const pieces = packedLines(path, () => tally.cut++);
      for await (const lines of pieces)
        for (const line of lines) {
          parser.line(line);
          facts.line(line);
        }
      parser.end();
      if (parser instanceof SlabTracesParser && parser.isCut) tally.cut++;
      if (method !== 'slab-traces') tally.check(path);
      return 0;
    });
    const before = paths[at - 1];
    if (before !== undefined) {
      const order = facts.after(earlier);
      checkOrder(order, before, path);
      if (order === 'untold') untold++;
    }
    earlier = facts;
  }
  const recording = takes.recording(type, method, false);
  return untold === 0 ? recording : { ...recording, untoldOrder: untold };
}

/** @throws {HostError} what came and what went would be told the wrong way round, or of nothing at all */
function checkOrder(order: CopyOrder, before: string, path: string): void {
  if (order === 'earlier')
    throw new HostError('unreadable', `${path} is no later than ${before}`, {
      next: 'Give copies of one machine since one start of its kernel, the oldest first.',
    });
  if (order === 'unrelated')
    throw new HostError(
      'unreadable',
      `${before} and ${path} are of two machines, or of two starts of one`,
      { next: 'Give copies of one machine since one start of its kernel, the oldest first.' },
    );
}

function copyParser(method: ReadingMethod, path: string, tally: Tally): TallyParser {
  if (method !== 'slab-traces') return parserOf(method, tally);
  // The file does not tell how large its objects are; its cache's name may.
  const size = /(?:^|[^a-z0-9])kmalloc-(?:[a-z]+-)*(\d{1,5})(k?)(?![0-9a-z])/.exec(path);
  if (!size)
    throw new HostError('unreadable', `${path} does not tell how large its objects are`, {
      next: 'Only copies of caches whose size is in the name of the file can be read: kmalloc-1k.',
    });
  return new SlabTracesParser(tally, Number(size[1]) * (size[2] === 'k' ? 1024 : 1));
}

/** Milliseconds from the first copy on. @throws {HostError} nobody tells when they were made */
function momentsOf({ paths, seconds }: FromOrder): number[] {
  if (seconds !== null) return paths.map((_, at) => (seconds * 1000 * at) / (paths.length - 1));
  const times = paths.map((path) => attempt(path, () => statSync(path)).mtimeMs);
  const began = times[0] ?? 0;
  if (times.some((time, at) => at > 0 && time < (times[at - 1] ?? 0) + LEAST_APART_MS))
    throw new HostError(
      'unreadable',
      'when these copies were made cannot be seen: each must be a second later than the one before',
      { next: 'Give the time from the first to the last: --interval 10m. The oldest comes first.' },
    );
  return times.map((time) => time - began);
}

const LEAST_APART_MS = 1000;
