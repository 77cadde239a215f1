/** A difference of two answers: a path without names of objects, and the values before and after. */
export interface Difference {
  /** `sockets.*.queues.receive.skbs`; for a missing or new object `sockets.* gone`. */
  readonly path: string;
  readonly was: unknown;
  readonly is: unknown;
}

/** More differences of one answer add no information. */
const MOST = 2000;

type Fields = Readonly<Record<string, unknown>>;

/**
 * All differences of two JSON answers. Objects in lists are matched by their identity (a
 * sock address, a pid, a row name), so that a missing one is one difference.
 */
export function differencesOf(was: unknown, is: unknown): Difference[] {
  const found: Difference[] = [];
  compare('', was, is, found);
  return found;
}

function compare(path: string, was: unknown, is: unknown, found: Difference[]): void {
  if (was === is || found.length >= MOST) return;
  if (Array.isArray(was) && Array.isArray(is)) {
    compareLists(path, was, is, found);
  } else if (isFields(was) && isFields(is)) {
    for (const name of new Set([...Object.keys(was), ...Object.keys(is)])) {
      const within = path === '' ? name : `${path}.${name}`;
      compare(within, was[name], is[name], found);
    }
  } else if (JSON.stringify(was) !== JSON.stringify(is)) {
    found.push({ path, was, is });
  }
}

function compareLists(path: string, was: readonly unknown[], is: readonly unknown[], found: Difference[]): void {
  if (![...was, ...is].every(isFields)) {
    if (JSON.stringify(was) !== JSON.stringify(is)) found.push({ path, was, is });
    return;
  }
  const before = byName(was as readonly Fields[]);
  const after = byName(is as readonly Fields[]);
  for (const [name, one] of before) {
    const other = after.get(name);
    if (other) compare(`${path}.${kindOf(one)}`, one, other, found);
    else found.push({ path: `${path}.${kindOf(one)} gone`, was: name, is: undefined });
  }
  for (const [name, one] of after) {
    if (before.has(name)) continue;
    found.push({ path: `${path}.${kindOf(one)} new`, was: undefined, is: name });
  }
}

function byName(list: readonly Fields[]): Map<string, Fields> {
  const named = new Map<string, Fields>();
  for (const one of list) {
    const name = nameOf(one);
    let key = name;
    for (let again = 2; named.has(key); again++) key = `${name} #${again}`;
    named.set(key, one);
  }
  return named;
}

function nameOf(one: Fields): string {
  const socket = isFields(one.socket) ? one.socket.sock : undefined;
  const known = socket ?? one.address ?? one.what ?? one.key;
  if (known !== undefined) return String(known);
  return `${String(one.pid)} ${String(one.fd)}`;
}

/** Rows of a ledger go by what they are about (`rings` for `rings tun`), all else is one of many. */
function kindOf({ what }: Fields): string {
  return what === undefined ? '*' : (String(what).split(' ')[0] ?? '*');
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
