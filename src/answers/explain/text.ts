import { wrap } from '../text/cut.js';
import { type Explained, KINDS } from './codes.js';

/** Codes with all that is said of them. @param width columns of the terminal; null: there is none */
export function explainText(codes: readonly Explained[], width: number | null): string {
  return codes.map((each) => wholeText(each, width)).join('\n\n');
}

function wholeText({ kind, code, means, known, next, deeper }: Explained, width: number | null) {
  const name = KINDS.find((each) => each.kind === kind)?.name ?? kind;
  const parts = [
    ['Meaning', means],
    ['Source', known],
    ['Do', next],
    ...(deeper === undefined ? [] : [['More', deeper]]),
  ] as const;
  const lines = parts.flatMap(([label = '', words = '']) =>
    indented(label.padEnd(8), words, width),
  );
  return [`${code} (${name})`, ...lines].join('\n');
}

/** All codes, a line or so each: the first sentence of what they are. */
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
