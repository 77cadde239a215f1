import { HostError } from '../../../base/errors/host.js';
import type { HostSource } from '../../host-source.js';

/** Page frames, by number: `end` is behind the last. */
export interface Frames {
  readonly start: number;
  readonly end: number;
}

/** What /proc/iomem says of memory. */
export interface MemoryMap {
  /** "System RAM", in order. */
  readonly ram: readonly Frames[];
  /** From the kernel's code to the end of its bss; what lies between may have been given away. */
  readonly image: Frames | undefined;
  readonly crashKernel: readonly Frames[];
}

const PATH = '/proc/iomem';

/** The largest machines have a few thousand. */
const MOST_LINES = 2 ** 17;

/** Physical addresses have 52 bits. */
const MOST_ADDRESS = 2 ** 52;

/**
 * @param pageSize bytes of a base page
 * @throws {HostError} `gone`; `denied`: it shows no addresses, which takes CAP_SYS_ADMIN; `unreadable`
 */
export function readMemoryMap(source: HostSource, pageSize: number): MemoryMap {
  const found: { name: string; from: number; to: number }[] = [];
  for (const line of source.readText(PATH).split('\n')) {
    const parts = /^ *([0-9a-f]{1,16})-([0-9a-f]{1,16}) : (.*)$/.exec(line);
    if (!parts) continue;
    const [from, to] = [Number.parseInt(parts[1]!, 16), Number.parseInt(parts[2]!, 16) + 1];
    const name = parts[3]!;
    // Since 5.x memory that was added later names its driver: "System RAM (virtio_mem)".
    if (/^(System RAM( \(.*\))?|Crash kernel|Kernel (code|rodata|data|bss))$/.test(name))
      found.push({ name, from, to });
    if (found.length > MOST_LINES) throw new HostError('unreadable', `${PATH} is too long`);
  }
  if (found.length > 0 && found.every(({ from, to }) => from === 0 && to === 1))
    throw new HostError('denied', `${PATH} shows no addresses`);
  if (found.some(({ from, to }) => to <= from || to > MOST_ADDRESS))
    throw new HostError('unreadable', `malformed range in ${PATH}`);
  const named = (pattern: RegExp) => found.filter(({ name }) => pattern.test(name));
  const whole = ({ from, to }: { from: number; to: number }): Frames => ({
    start: Math.ceil(from / pageSize),
    end: Math.floor(to / pageSize),
  });
  const ram = joined(named(/^System RAM/).map(whole));
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
    crashKernel: joined(named(/^Crash kernel$/).map(whole)),
  };
}

/** In order, and none within another. @throws {HostError} `unreadable` if two overlap */
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
