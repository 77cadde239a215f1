import { categoryOf } from '../../account/memory/category-names.js';
import type { ExplainJson, Explanation, Explanations } from '../../contracts/explain.js';
import { CHECK_CODES } from '../../doctor/checks.js';
import { SLAB_CACHES, slabCacheKey } from '../../records/slab-caches.js';
import { FINDINGS } from '../../triage/findings/all.js';
import { CHECK_WORDS } from '../doctor/render.js';
import { wrap } from '../text/cut.js';
import { EXPLAINED, NAMES } from './generated.js';
import type { CodesOf } from './kinds.js';

const MERGED =
  'SLUB may merge caches of equal size: then other objects are in it too (/sys/kernel/slab lists aliases; slab_nomerge prevents it).';

/** Slab caches by the names of /proc/slabinfo; `*` stands for a size. */
const SLAB_CACHES_EXPLAINED: Readonly<Record<string, Explanation>> = Object.fromEntries(
  Object.entries(SLAB_CACHES).map(([name, { subsystem, objects, cause, command, source }]) => [
    name,
    {
      means: `${subsystem}: ${objects}.`,
      known: `The name in /proc/slabinfo; created in ${source}. ${MERGED}`,
      next: `Usual cause when large: ${cause}. ${command} shows the owner.`,
      deeper: 'kdump-mem memory --live --caches',
    },
  ]),
);

/** Checks of `kdump-mem doctor`. */
const DOCTOR_CHECKS = Object.fromEntries(
  CHECK_CODES.map((code) => {
    const { what, known, without, remedy } = CHECK_WORDS[code];
    return [code, { means: `${what} Without it: ${without}`, known, next: remedy, deeper: 'kdump-mem doctor' }];
  }),
) as Explanations<CodesOf['doctor-check']>;

/** Explanations in the files of src/codes, and those that are declared with what they explain. */
const WORDS: { readonly [Kind in keyof CodesOf]: Explanations<CodesOf[Kind]> } = {
  ...EXPLAINED,
  finding: FINDINGS,
  'slab-cache': SLAB_CACHES_EXPLAINED,
  'doctor-check': DOCTOR_CHECKS,
};

/** Kind of codes. */
export interface Kind {
  readonly kind: string;
  /** Printed name. */
  readonly name: string;
  readonly codes: readonly string[];
  readonly words: Readonly<Record<string, Explanation>>;
}

/** All codes by kind; two kinds can have the same code. */
export const KINDS: readonly Kind[] = Object.entries(NAMES).map(([kind, name]) => {
  const words = WORDS[kind as keyof CodesOf];
  return { kind, name, codes: Object.keys(words), words };
});

/** A code with its explanation. */
export interface Explained extends Explanation {
  readonly kind: string;
  readonly code: string;
}

/**
 * Returns a code in each kind that contains it, or all codes; empty: there is no such code.
 *
 * @param code as in JSON, or as printed: "page cache", "Stalled reader"
 */
export function explained(code?: string): Explained[] {
  if (code === undefined || allCodes().includes(code)) return explainedCode(code);
  const printed = code.trim().toLowerCase();
  const explanations = explainedCode(categoryOf(printed) ?? printed.replaceAll(' ', '-'));
  return explanations.length > 0 ? explanations : explainedCode(slabCacheKey(code) ?? code);
}

function explainedCode(code: string | undefined): Explained[] {
  return KINDS.flatMap(({ kind, codes, words }) =>
    codes
      .filter((known) => code === undefined || known === code)
      .map((known) => ({ kind, code: known, ...words[known]! })),
  );
}

/** Returns all codes without duplicates. */
export function allCodes(): string[] {
  return [...new Set(KINDS.flatMap(({ codes }) => codes))];
}

export function explainJson(codes: readonly Explained[]): ExplainJson {
  return {
    schema: 'kdump-mem.explain/1',
    codes: codes.map(({ kind, code, means, known, next, deeper }) => {
      return { kind, code, means, known, next, deeper: deeper ?? null };
    }),
  };
}

/** Formats codes with their explanations. @param width columns of the terminal; null: no terminal */
export function explainText(codes: readonly Explained[], width: number | null): string {
  return codes.map((explained) => wholeText(explained, width)).join('\n\n');
}

/** Commands that read a kernel, written without the options that name it. */
const OF_KERNELS =
  /^kdump-mem (?:triage|memory|procs|sockets|skb|stacks|log|info|struct|read|blocked|whatis|refs)\b(?!.*--(?:live|vmcore|from|ndjson)\b)/;
/** Of these, the ones that search all memory, which a running kernel changes. */
const OF_DUMPS = /^kdump-mem refs\b|--un(?:attributed|reachable)\b/;

function wholeText({ kind, code, means, known, next, deeper }: Explained, width: number | null) {
  const name = KINDS.find((known) => known.kind === kind)?.name ?? kind;
  const source = OF_DUMPS.test(deeper ?? '') ? ' --vmcore FILE' : ' --vmcore FILE # or --live';
  const parts = [
    ['Meaning', means],
    ['Source', known],
    ['Action', next],
    ...(deeper === undefined ? [] : [['Next', OF_KERNELS.test(deeper) ? `${deeper}${source}` : deeper]]),
  ] as const;
  const lines = parts.flatMap(([label = '', words = '']) => indented(label.padEnd(8), words, width));
  return [`${code} (${name})`, ...lines].join('\n');
}

/** Lists all codes, about one line each: the first sentence of their meaning. */
export function listText(codes: readonly Explained[], width: number | null): string {
  const parts = KINDS.map(({ kind, name }) => {
    const own = codes.filter((explained) => explained.kind === kind);
    const column = Math.max(...own.map(({ code }) => code.length));
    const lines = own.flatMap(({ code, means }) => indented(code.padEnd(column), firstSentence(means), width));
    return [name, ...lines].join('\n');
  });
  return [...parts, 'Next: kdump-mem explain CODE'].join('\n\n');
}

function indented(label: string, words: string, width: number | null): string[] {
  const indent = `  ${' '.repeat(label.length)}  `;
  const room = width === null ? null : Math.max(20, width - indent.length);
  const [first = '', ...rest] = wrap(words, room);
  return [`  ${label}  ${first}`, ...rest.map((line) => `${indent}${line}`)];
}

function firstSentence(words: string): string {
  return /^.*?[.](?= |$)/.exec(words)?.[0] ?? words;
}
