/** Codes of open(2), fork(2), mmap(2) and write(2) for that. */
const EXHAUSTION: Readonly<Record<string, string>> = {
  EMFILE: 'this process may open no more files',
  ENFILE: 'the system can open no more files',
  ENOMEM: 'there is no memory left',
  ENOBUFS: 'there is no memory left',
  EAGAIN: 'no more processes may be started',
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
  'Raise the limit of open files (ulimit -n), of processes (ulimit -u, pids.max) or of memory.';
