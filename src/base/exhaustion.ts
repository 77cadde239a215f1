/** Codes of open(2), fork(2), mmap(2) and write(2) for that. */
const EXHAUSTION: Readonly<Record<string, string>> = {
  EMFILE: 'too many open files in this process',
  ENFILE: 'too many open files on this system',
  ENOMEM: 'out of memory',
  ENOBUFS: 'out of memory',
  EAGAIN: 'process limit reached',
};

/** Errors of V8 for the same: it has no code for them. */
const NO_MEMORY = /^(Array buffer allocation failed|WebAssembly\.Memory\(\): could not allocate)/;

/**
 * What we ourselves ran out of (descriptors, processes, memory), in words; undefined for every other
 * error. It says nothing about the dump or the host that was looked at.
 */
export function exhaustionOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if (NO_MEMORY.test(error.message)) return EXHAUSTION.ENOMEM;
  if (!('code' in error) || typeof error.code !== 'string') return undefined;
  return EXHAUSTION[error.code] && `${EXHAUSTION[error.code]} (${error.code})`;
}

/** What to do next. */
export const EXHAUSTION_ADVICE =
  'Raise the limit of open files (ulimit -n), processes (ulimit -u, pids.max) or memory.';
