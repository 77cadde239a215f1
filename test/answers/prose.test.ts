import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const SCHEMAS = fileURLToPath(new URL('../../schemas/', import.meta.url));

/**
 * Fields that are names in any answer: of the kernel, files, hosts or formats, or the text itself.
 */
const NAMES = [
  // Names of processes, cgroups, namespaces, modules, functions, files.
  'comm',
  'cgroup',
  'container',
  'pod',
  'runtime',
  'netnsName',
  'nodename',
  'host',
  'bootId',
  'release',
  'version',
  'buildId',
  'machine',
  'path',
  'file',
  'dump',
  'map',
  'fsType',
  'node',
  'files',
  'log',
  'symbol',
  'module',
  'functions',
  'caller',
  'cache',
  'command',
  'device',
  'blockDevice',
  // Block devices: MAJOR:MINOR, and the file system type.
  'number',
  'fileSystem',
  'name',
  'names',
  // Names of fields.
  'partialSizes',
  'owner',
  'key',
  'category',
  'zone',
  'line',
  'subsystem',
  'waitsIn',
  'limitCgroup',
  'member',
  'letter',
  'threadStates',
  'levelName',
  'facilityName',
  'permissions',
  'signal',
  'offset',
  'type',
  'typedef',
  'declaration',
  'removed',
  'caches',
  'rows',
  'real',
  'made',
  // Letters of migrate types, and a call site, as the kernel prints them.
  'types',
  'site',
  // Sockets.
  'local',
  'peer',
  'localAddress',
  'peerAddress',
  'family',
  'protocol',
  'state',
  'inode',
  // Log reports, as the kernel printed them.
  'function',
  'taint',
  'hardware',
  'address',
  'modules',
  'outOfTree',
  'printedTime',
  // Codes that the schema does not enumerate, and locations.
  'code',
  'failedCode',
  'kind',
  'source',
  'format',
  'paging',
  'deeper',
  'next',
  'reaper',
  // `info`: the release stream, a part of the answer.
  'stream',
  'part',
  'usedBy',
  'taints',
  'options',
  // Agents: files, tools, and paths of lists.
  'sources',
  'schema',
  // Commands that print what a text lacks.
  'lacks',
  'tool',
  'list',
  // `leaks` and tracefs: names of instances and of settings.
  'orphansRemoved',
  'leftBehind',
  'settingsChanged',
];

/** Quoted text from another source: the end of `path`. */
const QUOTED = [
  'panic.message',
  'panic.cause',
  'messages[].text',
  'log-message-1.text',
  'evidence[].text',
  'lines[].text',
  // A value from kernel memory.
  'struct-instance-1.text',
  // Text of the team's own rules.
  'silenced[].because',
  'changed[].because',
  'findings[].advice',
];

/** Prose without a code beside it, and why it needs none. */
const WITHOUT: Readonly<Record<string, string>> = {
  'diff-1.summary': 'a sentence of figures that stand in `loss`, whose `explanation` is its code',
  'info-1.dump.description': 'the format in words: `format` and `compression` are the codes',
  'info-1.kernel.sources.symbols.detail': 'where it was found: `source` is its code',
  'info-1.kernel.sources.types.detail': 'where it was found: `source` is its code',
  'info-1.kernel.sources.directMap.detail': 'where it was found: `source` is its code',
  'info-1.kernel.sources.pages.detail': 'where it was found: `source` is its code',
  'sockets-1.outsideQueues[].what': 'a code: the schema does not enumerate it',
  'sockets-end-1.outsideQueues[].what': 'the same',
  'sockets-1.outsideQueues[].message': 'made of `what`, its code, and of the figures beside it',
  'sockets-end-1.outsideQueues[].message': 'the same',
  'explain-1.codes[].means': 'this answer is the words of a code',
  'triage-1.pasted.parts[].why': 'why an output is not used: `state` is its code',
  'memory-1.sites[].why': 'why a source has no sites: `state` is its code',
};

/** Prose whose codes are still missing. */
const OWED = ['info-1.dump.anomalies', 'info-1.kernel.sources.anomalies', 'memory-1.why'];

/** Fields that are a code of adjacent fields, or distinguish one from the others. */
const CODES = ['code', 'reason', 'refusal', 'reasons', 'letter', 'confidence'];
/** Codes of one field among others. */
const CODE_OF: Readonly<Record<string, string>> = {
  noPressure: 'noPressureCode',
  noCategories: 'noCategoriesCode',
  noDetails: 'noDetailCodes',
  failed: 'failedCode',
  problems: 'faults',
  anomalies: 'anomalyCodes',
};

interface Node {
  readonly [key: string]: unknown;
}
interface Text {
  readonly path: string;
  readonly name: string;
  readonly beside: readonly string[];
  /** Fields of the object that contains it. */
  readonly around: readonly string[];
}

/** Whether a value may be any text by the schema. */
function isFree(node: Node): boolean {
  const { type, examples, const: only, pattern, format, anyOf, oneOf, items } = node;
  if (type === 'array') return isFree((items ?? {}) as Node);
  const others = [...((anyOf ?? []) as Node[]), ...((oneOf ?? []) as Node[])];
  if (others.length > 0) return others.some(isFree);
  const isText = type === 'string' || (Array.isArray(type) && type.includes('string'));
  return isText && !examples && only === undefined && pattern === undefined && !format;
}

function textsOf(node: unknown, path: string, around: readonly string[], found: Text[]): void {
  if (Array.isArray(node)) {
    for (const each of node) textsOf(each, path, around, found);
    return;
  }
  if (typeof node !== 'object' || node === null) return;
  const { properties, items, ...others } = node as Node;
  const beside = Object.keys(properties ?? {});
  for (const [name, each] of Object.entries((properties ?? {}) as Record<string, Node>)) {
    if (isFree(each)) found.push({ path: `${path}.${name}`, name, beside, around });
    textsOf(each, `${path}.${name}`, beside, found);
  }
  if (items !== undefined) textsOf(items, `${path}[]`, around, found);
  for (const each of Object.values(others)) textsOf(each, path, around, found);
}

const texts = readdirSync(SCHEMAS).flatMap((file) => {
  const found: Text[] = [];
  const schema = JSON.parse(readFileSync(`${SCHEMAS}${file}`, 'utf8'));
  textsOf(schema, file.replace('.json', ''), [], found);
  return found;
});

const isQuoted = (path: string) => QUOTED.some((end) => path.endsWith(`.${end}`) || path === end);

function hasCode({ path, name, beside, around }: Text): boolean {
  const own = CODE_OF[name];
  if (own !== undefined && beside.includes(own)) return true;
  const parent = CODE_OF[/(\w+)\.\w+$/.exec(path)?.[1] ?? ''];
  if (parent !== undefined && around.includes(parent)) return true;
  return CODES.some((code) => code !== name && beside.includes(code));
}

test('prose for people has a code beside it for programs', () => {
  const bare = texts.filter(
    (text) =>
      !NAMES.includes(text.name) &&
      ![...Object.keys(WITHOUT), ...OWED].includes(text.path) &&
      !isQuoted(text.path) &&
      !hasCode(text),
  );
  expect(bare.map(({ path }) => path)).toEqual([]);
});

test('every exception in the list exists and is needed', () => {
  const paths = texts.map(({ path }) => path);
  expect([...Object.keys(WITHOUT), ...OWED].filter((path) => !paths.includes(path))).toEqual([]);
  expect(QUOTED.filter((end) => !paths.some((path) => path.endsWith(`.${end}`) || path === end))).toEqual([]);
  const names = texts.map(({ name }) => name);
  expect(NAMES.filter((name) => !names.includes(name))).toEqual([]);
});
