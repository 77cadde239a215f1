import type { StacksAnswer } from '../../profile/faults/answer.js';
import { newBytes, type SpaceSum, type StackSum } from '../../profile/faults/stack-sums.js';
import type { Frame } from '../../profile/perf/sample.js';
import type { StacksJson } from './schema.js';

/** `kdump-mem.stacks/1`. */
export function stacksJson(answer: StacksAnswer): StacksJson {
  const bytes = newBytes(answer);
  return {
    schema: 'kdump-mem.stacks/1',
    source: 'perf',
    pid: answer.pid,
    comm: answer.comm,
    seconds: Math.round(answer.seconds * 1000) / 1000,
    requestedSeconds: answer.requestedSeconds,
    ended: answer.ended,
    period: answer.period,
    samples: answer.samples,
    pageSize: answer.pageSize,
    pageSizesKnown: answer.pageSizesKnown,
    newBytes: bytes,
    newBytesPerSecond: answer.seconds > 0 ? Math.round(bytes / answer.seconds) : null,
    anonymous: answer.anonymous,
    shared: answer.shared,
    hugetlb: answer.hugetlb,
    file: answer.file,
    unknown: answer.unknown,
    swappedIn: answer.swappedIn,
    childFaults: answer.ofChildren,
    minorFaults: answer.minorFaults,
    majorFaults: answer.majorFaults,
    kernelFaults: answer.kernelCounts && { ...answer.kernelCounts },
    anonymousGrowthBytes: answer.anonymousGrowth,
    lostRecords: answer.lost,
    truncatedBytes: answer.truncatedBytes,
    functions: answer.functions.map((sum) => ({
      frame: sum.frames[0] ? frameJson(sum.frames[0]) : null,
      ...kindsJson(sum),
    })),
    stacks: answer.stacks.map((sum) => ({
      frames: sum.frames.map(frameJson),
      ...kindsJson(sum),
    })),
    addressSpace: answer.space && {
      mmap: answer.space.mmap.map(callJson),
      brk: answer.space.brk.map(callJson),
    },
    complete: answer.complete,
    warnings: answer.warnings.map(({ code, message }) => ({ code, message })),
  };
}

/** perf unwinds by DWARF, and never guesses. */
function frameJson({ symbol, module, offset }: Frame) {
  return { symbol, module, offset, guess: false };
}

function kindsJson(sum: StackSum) {
  const { anonymous, shared, hugetlb } = sum;
  return { newBytes: newBytes(sum), anonymous, shared, hugetlb };
}

function callJson({ frames, calls, bytes }: SpaceSum) {
  return { frames: frames.map(frameJson), calls, bytes };
}
