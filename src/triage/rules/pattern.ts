/** Captures of a pattern in a text. */
export type Captures = Readonly<Record<string, string | number>>;

/** Maximum length and number of parts of a pattern: its cost on untrusted text is limited. */
export const MAX_PATTERN = 512;

/** Numbers with more digits are not exact. */
const MAX_DIGITS = 15;

type Part =
  | { readonly kind: 'text'; readonly text: string }
  /** Any text, including none. */
  | { readonly kind: 'any'; readonly name: string | undefined }
  | { readonly kind: 'number'; readonly name: string };

type Block = readonly Exclude<Part, { kind: 'any' }>[];

/**
 * Text with wildcards: `*` and `{name}` match any text, `{name:number}` a decimal number, and names are
 * captured; `\` escapes the next character. It must match the complete text. There are no regular
 * expressions: the text is untrusted, and time is limited by its length times the pattern's.
 */
export class Pattern {
  readonly source: string;
  /** Names of captures. */
  readonly names: readonly string[];
  /** Text between wildcards, with their names: one block more than wildcards. */
  readonly #blocks: readonly Block[];
  readonly #wildcards: readonly (string | undefined)[];

  /** @throws {SyntaxError} with the reason */
  constructor(source: string) {
    this.source = source;
    const parts = parsed(source);
    const blocks: Part[][] = [[]];
    const wildcards: (string | undefined)[] = [];
    for (const part of parts) {
      if (part.kind !== 'any') blocks.at(-1)!.push(part);
      else {
        wildcards.push(part.name);
        blocks.push([]);
      }
    }
    this.#blocks = blocks as Block[];
    this.#wildcards = wildcards;
    this.names = parts.flatMap((part) => (part.kind === 'text' ? [] : (part.name ?? [])));
    if (new Set(this.names).size < this.names.length) throw new SyntaxError('two captures have the same name');
  }

  /** Undefined: no match. Wildcards match as little as possible. */
  match(text: string): Captures | undefined {
    const groups: Record<string, string | number> = {};
    let at = 0;
    for (const [index, block] of this.#blocks.entries()) {
      const isLast = index === this.#blocks.length - 1;
      const met = placed(block, text, { from: at, anchored: index === 0, toEnd: isLast });
      if (met === undefined) return undefined;
      const name = index > 0 ? this.#wildcards[index - 1] : undefined;
      if (name !== undefined) groups[name] = text.slice(at, met.start);
      Object.assign(groups, met.numbers);
      at = met.end;
    }
    return groups;
  }
}

interface Met {
  readonly start: number;
  readonly end: number;
  readonly numbers: Readonly<Record<string, number>>;
}

/** The first match of a block. Since wildcards match any text, a later match is never better. */
function placed(
  block: Block,
  text: string,
  { from, anchored, toEnd }: { from: number; anchored: boolean; toEnd: boolean },
): Met | undefined {
  if (block.length === 0) {
    const at = toEnd && !anchored ? text.length : from;
    return toEnd && at !== text.length ? undefined : { start: at, end: at, numbers: {} };
  }
  for (let start = from; start <= text.length; start++) {
    const met = matchedAt(block, text, start);
    if (met && (!toEnd || met.end === text.length)) return met;
    if (anchored) return undefined;
  }
  return undefined;
}

function matchedAt(block: Block, text: string, start: number): Met | undefined {
  const numbers: Record<string, number> = {};
  let at = start;
  for (const part of block) {
    if (part.kind === 'text') {
      if (!text.startsWith(part.text, at)) return undefined;
      at += part.text.length;
      continue;
    }
    const digits = digitsAt(text, at);
    // A match must not begin within a number.
    if (digits === 0 || digits > MAX_DIGITS || (at === start && isDigit(text, at - 1))) return undefined;
    numbers[part.name] = Number(text.slice(at, at + digits));
    at += digits;
  }
  return { start, end: at, numbers };
}

function digitsAt(text: string, at: number): number {
  let end = at;
  while (end - at <= MAX_DIGITS && isDigit(text, end)) end++;
  return end - at;
}

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code >= 48 && code <= 57;
}

const CAPTURE = /^\{([a-zA-Z][a-zA-Z0-9]{0,31})(:number)?\}/;

function parsed(source: string): Part[] {
  if (source === '') throw new SyntaxError('the pattern is empty');
  if (source.length > MAX_PATTERN) throw new SyntaxError(`the pattern is longer than ${MAX_PATTERN} characters`);
  const parts: Part[] = [];
  let text = '';
  const add = (part: Part) => {
    if (text !== '') parts.push({ kind: 'text', text });
    text = '';
    if (part.kind !== 'text' && part.kind === parts.at(-1)?.kind)
      throw new SyntaxError('two wildcards need text between them');
    parts.push(part);
  };
  for (let at = 0; at < source.length; at++) {
    const char = source[at]!;
    const rest = source.slice(at);
    if (char === '\\') {
      if (at + 1 === source.length) throw new SyntaxError('nothing follows the last \\');
      text += source[++at];
    } else if (char === '*') add({ kind: 'any', name: undefined });
    else if (char === '{') {
      const [whole, name, number] = CAPTURE.exec(rest) ?? [];
      if (whole === undefined || name === undefined)
        throw new SyntaxError('malformed capture: write {name} or {name:number}, or \\{ for the character');
      add(number === undefined ? { kind: 'any', name } : { kind: 'number', name });
      at += whole.length - 1;
    } else text += char;
  }
  if (text !== '') parts.push({ kind: 'text', text });
  return parts;
}
