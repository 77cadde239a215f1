/** Formats an address, or another word, as the kernel's own tools and the JSON contract do. */
export function hex(value: bigint | number): string {
  return `0x${value.toString(16)}`;
}

/** A value as JSON has it: addresses are text. */
export type Json<T> = T extends bigint ? string : T extends object ? { readonly [Key in keyof T]: Json<T[Key]> } : T;

/** Returns an answer as plain JSON values: addresses in hexadecimal. */
export function jsonOf<T>(value: T): Json<T>;
export function jsonOf(value: unknown): unknown {
  if (typeof value === 'bigint') return hex(value);
  if (Array.isArray(value)) return value.map(jsonOf);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, jsonOf(inner)]));
}

/**
 * Formats JSON in ASCII only, so that no name in it can control a terminal. Addresses are in hexadecimal.
 *
 * @param indent blanks per level; none: on one line
 */
export function formatJson(value: unknown, indent?: number): string {
  const plain = (_key: string, inner: unknown) => (typeof inner === 'bigint' ? hex(inner) : inner);
  return JSON.stringify(value, plain, indent).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Groups items by key, in the order of each key's first item. */
export function grouped<Key, Item>(items: Iterable<Item>, keyOf: (item: Item) => Key): Map<Key, Item[]> {
  const groups = new Map<Key, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    const known = groups.get(key);
    if (known) known.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}

/** Returns a function that creates a value on the first call and caches it, or the error thrown. */
export function once<T>(make: () => T): () => T {
  let result: { readonly value: T } | { readonly error: unknown } | undefined;
  return () => {
    if (!result)
      try {
        result = { value: make() };
      } catch (error) {
        result = { error };
      }
    if ('error' in result) throw result.error;
    return result.value;
  };
}

/** Error text for a missing file; Node replaces bytes of names that are not UTF-8 by U+FFFD. */
export function missingFile(path: string): string {
  return path.includes('\ufffd') ? `${path}: not found (the name is not valid UTF-8)` : `${path}: not found`;
}

/** A deeply read-only version of a type. */
export type Immutable<T> = T extends object ? { readonly [Key in keyof T]: Immutable<T[Key]> } : T;

/** How often each value is among many bytes. */
export function bytesByValue(bytes: Uint8Array): Float64Array {
  const counts = new Float64Array(256);
  eachRun(bytes, (value, start, end) => {
    counts[value]! += end - start;
  });
  return counts;
}

/** Bytes from which comparing words pays for another view of them. */
const MIN_IN_WORDS = 64;

/** Visits the runs of equal bytes, in order. Compares words: most frames of a large machine are like those beside them. */
export function eachRun(
  bytes: Uint8Array,
  visit: (value: number, start: number, end: number) => void,
  from = 0,
  to = bytes.length,
): void {
  const { buffer, byteOffset } = bytes;
  const words = to - from < MIN_IN_WORDS ? undefined : new Int32Array(buffer, 0, buffer.byteLength >>> 2);
  for (let start = from, end = from; start < to; start = end) {
    const value = bytes[start]!;
    const word = Math.imul(value, 0x0101_0101);
    for (end = start + 1; end < to && bytes[end] === value; end++) {
      if (words === undefined || ((byteOffset + end) & 3) !== 0) continue;
      while (end + 4 < to && words[(byteOffset + end) >>> 2] === word) end += 4;
      if (bytes[end] !== value) break;
    }
    visit(value, start, end);
  }
}

/** A script whose names between two pairs of underscores (`__NAME__`) are replaced by their values. */
export function withValues(script: string, values: Readonly<Record<string, string | number>>): string {
  return script.replaceAll(/__([A-Z]+(?:_[A-Z]+)*)__/g, (_, name: string) => {
    if (values[name] === undefined) throw new Error(`__${name}__ has no value`);
    return String(values[name]);
  });
}
