import { HostError } from '../../../base/errors.js';
import type { HostSource } from '../../host-source.js';

/** Range of page frame numbers, `end` exclusive. */
export interface Frames {
  readonly start: number;
  readonly end: number;
}

/** Memory ranges in /proc/iomem. */
export interface MemoryMap {
  /** "System RAM" ranges, in order. */
  readonly ram: readonly Frames[];
  /** From the kernel's code to the end of its bss; memory in between may have been freed. */
  readonly image: Frames | undefined;
  readonly crashKernel: readonly Frames[];
}

const PATH = '/proc/iomem';

/** The largest machines have a few thousand. */
const MAX_LINES = 2 ** 17;

/** Physical addresses have 52 bits. */
const MAX_ADDRESS = 2 ** 52;

/**
 * @param pageSize bytes of a base page
 * @throws {HostError} `gone`; `denied`: addresses are hidden without CAP_SYS_ADMIN; `unreadable`
 */
export function readMemoryMap(source: HostSource, pageSize: number): MemoryMap {
  const found: { name: string; from: number; to: number }[] = [];
  for (const line of source.readText(PATH).split('\n')) {
    const parts = /^ *([0-9a-f]{1,16})-([0-9a-f]{1,16}) : (.*)$/.exec(line);
    if (!parts) continue;
    const [from, to] = [Number.parseInt(parts[1]!, 16), Number.parseInt(parts[2]!, 16) + 1];
    const name = parts[3]!;
    // Since 5.x, hot-added memory names its driver: "System RAM (virtio_mem)".
    if (/^(System RAM( \(.*\))?|Crash kernel|Kernel (code|rodata|data|bss))$/.test(name))
      found.push({ name, from, to });
    if (found.length > MAX_LINES) throw new HostError('unreadable', `${PATH} is too long`);
  }
  if (found.length > 0 && found.every(({ from, to }) => from === 0 && to === 1))
    throw new HostError('denied', `${PATH} shows no addresses`);
  if (found.some(({ from, to }) => to <= from || to > MAX_ADDRESS))
    throw new HostError('unreadable', `malformed range in ${PATH}`);
  const named = (pattern: RegExp) => found.filter(({ name }) => pattern.test(name));
  const framesOf = ({ from, to }: { from: number; to: number }): Frames => ({
    start: Math.ceil(from / pageSize),
    end: Math.floor(to / pageSize),
  });
  const ram = joined(named(/^System RAM/).map(framesOf));
  if (ram.length === 0) throw new HostError('unreadable', `${PATH} lists no System RAM`);
  const image = named(/^Kernel /);
  return {
    ram,
    image:
      image.length === 0
        ? undefined
        : {
            start: Math.floor(Math.min(...image.map(({ from }) => from)) / pageSize),
            end: Math.ceil(Math.max(...image.map(({ to }) => to)) / pageSize),
          },
    crashKernel: joined(named(/^Crash kernel$/).map(framesOf)),
  };
}

/** Sorts ranges and merges nested ones. @throws {HostError} `unreadable` if two overlap */
function joined(ranges: readonly Frames[]): Frames[] {
  const all: Frames[] = [];
  for (const range of ranges.toSorted((a, b) => a.start - b.start)) {
    if (range.end <= range.start) continue;
    if ((all.at(-1)?.end ?? 0) > range.start)
      throw new HostError('unreadable', `${PATH} lists page frame ${range.start} twice`);
    all.push(range);
  }
  return all;
}
