import type { StacksAnswer } from '../../profile/faults/answer.js';
import { newBytes } from '../../profile/faults/stack-sums.js';
import type { Frame } from '../../profile/perf/sample.js';
import { speedscopeFile } from '../speedscope-file.js';
import { frameName } from './frame-name.js';

/** A file for speedscope, weighed by bytes of new memory. */
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
  return speedscopeFile({
    version,
    name,
    frames,
    stacks: stacks.map((stack) => ({
      frames: stack.frames.toReversed().map(numberOf),
      bytes: newBytes(stack),
    })),
  });
}
