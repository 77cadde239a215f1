import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { allCodes } from '../../../src/answers/explain/codes.js';

const SCHEMAS = fileURLToPath(new URL('../../../schemas/', import.meta.url));
const SOURCE = fileURLToPath(new URL('../../../src/', import.meta.url));

/**
 * Fields whose values are words of the kernel, of formats or of the answer itself, and not our
 * codes: by the schema and path, or the end of the path. All others are explained.
 */
const NAMES = [
  // Names from the kernel, C and other programs.
  'arch',
  'family',
  'protocol',
  'tasks[].state',
  'compression[]',
  'registers',
  'skcheck-1.sockets[].type',
  'dump.format',
  'kernel.sources.vmcoreinfo',
  'symbolFiles[].as',
  'struct-1.types[].kind',
  'struct-instance-1.kind',
  'process-1.groups[].kind',
  // Name of the program that counted.
  'memory-1.cachedFiles.source',
  'process-fds-1.groups[].kind',
  'modules-1.modules[].state',
  'swap-1.devices[].kind',
  'run-queues-1.cpus[].tasks[].class',
  'process-1.mappings[].kind',
  'caller.kind',
  'read-1.space',
  'memory-1.figures.format',
  // Data that makedumpfile can filter out, in its own words.
  'dump.filtered[]',
  // Discriminators: the other fields of the object give the details.
  'evidence[].kind',
  'evidence[].end',
  'stacks[].end',
  'sites[].kind',
  // An output in a text, and what its sentence says.
  'pasted.parts[].state',
  'owners[].kind',
  'topOwner.kind',
  'topOwner.of',
  'leaks-1.type',
  'leak-methods-1.type',
  'categories[].group',
  'growing[].group',
  'extract-1.stays[]',
  'extract-1.log',
  'parts[]',
  'memory-1.known',
  'lines[].bound',
  'files[].mounts',
  'heldBy',
  'time.from',
  'symbolFiles[].by',
  'foundBy[]',
  'skcheck-1.sockets[].via',
  'totals.countedBy',
  'kernel.engine',
  'skcheck-1.host.source',
  'vendor.id',
  'stacks-1.source',
  'log-1.source',
  'log-end-1.source',
  'report.access',
  // kdump-mem leaks --methods describes each.
  'leaks-1.method',
  'methods[].method',
  'leak-methods-1.default',
  // Value of skcheck --by, as given.
  'skcheck-1.groups.by',
  // How a possible owner of a lock was found.
  'blocked-1.locks[].candidates[].by',
  'blocked-1.locks[].object.kind',
  'blocked-1.locks[].object.state',
  'task.state',
  'owner.state',
  'waiters[].state',
  // Whether the kernel records allocations: the adjacent field `why` states how to enable that.
  'memory-1.sites[].state',
  // Type of the object at an address, and the state of a slab object: adjacent fields give the
  // details.
  'object.kind',
  'object.state',
  'holder.kind',
  'refs-1.references[].form',
  'refs-1.references[].source',
  'refs-1.groups[].source',
  'site.of',
  'memory-unattributed-1.groups[].content',
  // The objects that a record of the ring lists.
  'recorded-holders-1.scans[]',
  'recorded-holders-1.holders[].scan',
  ...['kind', 'referencedBy', 'content'].map((name) => `memory-unreachable-1.groups[].${name}`),
];

interface Node {
  readonly [key: string]: unknown;
}

/** Every enumeration in a schema, by its path. */
function wordsOf(node: unknown, path: string, found: [string, string[]][]): void {
  if (Array.isArray(node)) {
    for (const each of node) wordsOf(each, path, found);
    return;
  }
  if (typeof node !== 'object' || node === null) return;
  const { examples, const: only, properties, items, ...others } = node as Node;
  const isText = (value: unknown): value is string => typeof value === 'string';
  if (Array.isArray(examples) && examples.every(isText)) found.push([path, examples]);
  if (isText(only)) found.push([path, [only]]);
  for (const [name, each] of Object.entries(properties ?? {})) wordsOf(each, `${path}.${name}`, found);
  if (items !== undefined) wordsOf(items, `${path}[]`, found);
  for (const each of Object.values(others)) wordsOf(each, path, found);
}

const found = readdirSync(SCHEMAS).flatMap((file) => {
  const all: [string, string[]][] = [];
  const schema = JSON.parse(readFileSync(`${SCHEMAS}${file}`, 'utf8'));
  wordsOf(schema, file.replace('.json', ''), all);
  return all.filter(([path]) => !path.endsWith('.schema'));
});

const isName = (path: string) => NAMES.some((name) => path === name || path.endsWith(`.${name}`));
const known = new Set(allCodes());

test('explain knows every code in a published schema', () => {
  const unknown = found.flatMap(([path, words]) =>
    isName(path) ? [] : words.filter((word) => !known.has(word)).map((word) => `${path}: ${word}`),
  );
  expect(unknown).toEqual([]);
  expect(found.filter(([path]) => !isName(path)).length).toBeGreaterThan(60);
});

test('every excluded field exists', () => {
  const paths = found.map(([path]) => path);
  const gone = NAMES.filter((name) => !paths.some((path) => path === name || path.endsWith(`.${name}`)));
  expect(gone).toEqual([]);
});

/** zod's own code, and the name of the completion argument. */
const NOT_PRINTED = ['custom', 'code'];

/**
 * Problems with a source of `kdump-mem leaks` have this prefix in the answer (src/leaks/notes.ts).
 */
const isKnown = (code: string) => known.has(code) || known.has(`source-${code}`);

test('explain knows every code in the source', () => {
  const made = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => [
      ...readFileSync(`${SOURCE}${file}`, 'utf8').matchAll(/\b(?:code|note|reason|verdict|refusal): '([a-z-]+)'/g),
    ])
    .map(([, code = '']) => code);
  expect(new Set(made).size).toBeGreaterThan(100);
  expect(made.filter((code) => !isKnown(code) && !NOT_PRINTED.includes(code))).toEqual([]);
  expect(NOT_PRINTED.filter((code) => !made.includes(code))).toEqual([]);
});
