/** A figure of an answer on which two engines differ; undefined where one of them lacks it. */
export interface Difference {
  /** Such as `queues.receive.pages`. */
  readonly path: string;
  readonly native: unknown;
  readonly crash: unknown;
}

/**
 * Compares two answers of the JSON contract leaf by leaf. What names the engine is left out, and so
 * are the messages of warnings, which quote it; their codes count. A row of what is outsideQueues may be
 * counted by one engine alone, since crash knows no types of modules.
 */
export function compareAnswers(
  native: unknown,
  crash: unknown,
): { readonly compared: number; readonly differences: readonly Difference[] } {
  const nativeLeaves = new Map(leaves(native, ''));
  const crashLeaves = new Map(leaves(crash, ''));
  const paths = new Set([...nativeLeaves.keys(), ...crashLeaves.keys()]);
  const differences = [...paths]
    .filter((path) => {
      const [native, crash] = [nativeLeaves.get(path), crashLeaves.get(path)];
      const uncounted = OUTSIDE_QUEUES.test(path) && (native === null || crash === null);
      return native !== crash && !uncounted;
    })
    .map((path) => ({ path, native: nativeLeaves.get(path), crash: crashLeaves.get(path) }));
  return { compared: paths.size, differences };
}

/** A count of a row of what no socket explains. */
const OUTSIDE_QUEUES = /^outsideQueues\.\d+\.(objects|bytes)$/;

/** Warnings in words, and whether a row is whole: one engine may know what the other does not. */
const APART = /^(warnings\.\d+\.message|outsideQueues\.\d+\.(message|complete))$/;

function* leaves(value: unknown, path: string): Generator<[string, unknown]> {
  if (typeof value !== 'object' || value === null) {
    yield [path, value];
    return;
  }
  for (const [key, inner] of Object.entries(value)) {
    const at = path === '' ? key : `${path}.${key}`;
    if (at !== 'kernel.engine' && !APART.test(at)) yield* leaves(inner, at);
  }
}
