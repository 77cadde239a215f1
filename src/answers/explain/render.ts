import { wrap } from '../text/cut.js';
import { type Explained, KINDS } from './codes.js';
import type { ExplainJson } from './schema.js';

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
  return codes.map((each) => wholeText(each, width)).join('\n\n');
}

/** Commands that read a kernel, written without the options that name it. */
const OF_DUMPS =
  /^kdump-mem (?:triage|memory|procs|sockets|skb|stacks|log|info|struct|read)\b(?!.*--(?:live|vmcore|from|ndjson)\b)/;

function wholeText({ kind, code, means, known, next, deeper }: Explained, width: number | null) {
  const name = KINDS.find((each) => each.kind === kind)?.name ?? kind;
  const parts = [
    ['Meaning', means],
    ['Source', known],
    ['Action', next],
    ...(deeper === undefined
      ? []
      : [['Next', OF_DUMPS.test(deeper) ? `${deeper} --vmcore FILE # or --live` : deeper]]),
  ] as const;
  const lines = parts.flatMap(([label = '', words = '']) =>
    indented(label.padEnd(8), words, width),
  );
  return [`${code} (${name})`, ...lines].join('\n');
}

/** Lists all codes, about one line each: the first sentence of their meaning. */
export function listText(codes: readonly Explained[], width: number | null): string {
  const parts = KINDS.map(({ kind, name }) => {
    const own = codes.filter((each) => each.kind === kind);
    const column = Math.max(...own.map(({ code }) => code.length));
    const lines = own.flatMap(({ code, means }) =>
      indented(code.padEnd(column), firstSentence(means), width),
    );
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
