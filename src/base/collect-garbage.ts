import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collect = (how?: { readonly type: 'minor' | 'major' }) => void;

/** So many bytes are read between two collections of what is not used any more. */
const BETWEEN = 2 * 1024 * 1024;
/** So many of them are quick ones, of what is young. */
const MINORS = 6;

let collect: Collect | null = null;
let read = 0;
let minors = 0;

/**
 * Is told of what is read, and has it collected in time. Buffers lie outside of V8's heap, so V8 by itself
 * is in no hurry: a host with 50,000 sockets took 20 MB more.
 */
export function noteRead(bytes: number): void {
  read += bytes;
  if (read < BETWEEN) return;
  read = 0;
  collect ??= collector();
  minors = (minors + 1) % MINORS;
  collect({ type: minors === 0 ? 'major' : 'minor' });
}

/**
 * Young objects stay where there is little room: V8 would take 48 MB for them where much is made and thrown away,
 * and all is collected as it stands.
 */
export function staySmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}

/** Now: what is not used any more shall be gone before much else is made. It takes some milliseconds. */
export function collectNow(): void {
  collect ??= collector();
  collect({ type: 'major' });
}

/** V8's own, which it shows by a flag alone. */
function collector(): Collect {
  setFlagsFromString('--expose-gc');
  const found: unknown = runInNewContext('gc');
  return typeof found === 'function' ? (how) => void found(how) : () => undefined;
}
