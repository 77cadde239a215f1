import type { StacksAnswer } from '../../trace/faults/answer.js';
import { newBytes } from '../../trace/faults/stack-sums.js';
import type { Frame } from '../../trace/perf/sample.js';
import { frameName } from './frame-name.js';

/**
 * A file for speedscope (https://www.speedscope.app/file-format-schema.json), which a browser shows offline
 * too: one sampled profile, weighed by bytes of new memory, the outermost function first.
 */
export function speedscope(answer: StacksAnswer, version: string): object {
  const frames: { name: string; file: string }[] = [];
  const numbers = new Map<Frame, number>();
  const numberOf = (frame: Frame): number => {
    const known = numbers.get(frame);
    if (known !== undefined) return known;
    numbers.set(frame, frames.length);
    return frames.push({ name: frameName(frame), file: frame.module }) - 1;
  };
  const stacks = answer.stacks.filter((stack) => newBytes(stack) > 0);
  const name = `pid ${answer.pid} (${answer.comm}): new memory in ${answer.seconds.toFixed(1)} s`;
  const samples = stacks.map((stack) => stack.frames.toReversed().map(numberOf));
  const weights = stacks.map(newBytes);
  return {
    $schema: 'https://www.speedscope.app/file-format-schema.json',
    exporter: `kdump-mem@${version}`,
    name,
    activeProfileIndex: 0,
    shared: { frames },
    profiles: [
      {
        ...{ type: 'sampled', name, unit: 'bytes', startValue: 0 },
        endValue: weights.reduce((sum, bytes) => sum + bytes, 0),
        ...{ samples, weights },
      },
    ],
  };
}
