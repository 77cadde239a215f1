import type { SocketMemory } from '../socket.js';

/** `skmem:(r0,rb131072,t0,tb16384,f0,w0,o0,bl0,d0)`; kernels before 4.7 have no `d`. */
export const SKMEM =
  /skmem:\(r(\d+),rb(\d+),t(\d+),tb(\d+),f(\d+),w(\d+),o(\d+)(?:,bl(\d+))?(?:,d(\d+))?\)/;

/** The figures of the first `skmem:(…)` in a text that no stranger has written into, or null. */
export function parseSkmem(text: string): SocketMemory | null {
  const found = SKMEM.exec(text);
  if (!found) return null;
  const figure = (index: number) => Number(found[index] ?? 0);
  const memory = {
    rmem: figure(1),
    rcvbuf: figure(2),
    wmem: figure(3),
    sndbuf: figure(4),
    forward: figure(5),
    wmemQueued: figure(6),
    optmem: figure(7),
    backlog: figure(8),
    drops: found[9] === undefined ? null : figure(9),
  };
  return Object.values(memory).every((each) => each === null || Number.isSafeInteger(each))
    ? memory
    : null;
}
