import { REST } from './prefix.js';

/** A prefix is a sequence of blanks, words, and single other characters. */
const PARTS = /[ \t]+|[^ \t[\](){}<>|:,;=]+|[\s\S]/g;
const WORD = '[^ \\t[\\](){}<>|:,;=]+';
const IS_BLANK = /^[ \t]/;
const IS_WORD = new RegExp(`^${WORD}$`);
const MAX_PARTS = 48;
const MAX_SHAPES = 500;
/** Maximum number of values of a part that are told apart: levels, hosts. */
const FEW = 16;
/** Maximum number of forms of a prefix that are used at a time. */
const MAX_USED = 16;

const TIME = /\d:\d\d|\d{4}-\d\d-\d\d|(?<!\d)\d{9,10}\.\d{6}/;
/** The tag of a program after a time. `kern.warn` is that of socklog. */
const PROGRAM = /[ \]](?!kern\.)[^ :[\]]{1,64}(?:\[\d{1,9}\])?: ?$/;
/** What no sentence has before a message: a time, a number, a quotation mark, the path of a file, brackets. */
const MARKED = /\d:\d\d|^[ \t]*(?:[>|#*]|\d+[ \t:)]|$)|^[^ ]*[./][^ ]*:|\] ?$/;

interface Shape {
  /** Kinds of its parts. */
  readonly key: string;
  /** The beginning of the first line that has it. */
  readonly head: string;
  readonly parts: readonly string[];
  /** Values of each part; undefined: more than a few. */
  readonly values: (Set<string> | undefined)[];
  /** Number of lines that have it before the kernel's clock or tag. */
  anchored: number;
  /** Whether the kernel's tag follows it in one of them. */
  isTagged: boolean;
  /** Number of lines that have it before a message that only a kernel prints, and such messages. */
  known: number;
  readonly kinds: Set<string>;
  /** Number of lines that have it before a line of a stack trace. */
  frames: number;
  /** Number of lines that have it before blanks as wide as a prefix: further lines of an entry of the journal. */
  rests: number;
}

/** What follows a prefix: the kernel's clock or tag, a line of a trace, the rest of an entry, or a known message. */
type Next = 'clock' | 'tag' | 'frame' | 'rest' | { readonly message: string };

/** Learns what lines have in common before the kernel's own prefix, or before messages that only a kernel prints. */
export class ShapeCounter {
  readonly #shapes = new Map<string, Shape>();
  readonly #entries = new Set<string>();
  #anchored = 0;
  #known = 0;
  #frames = 0;

  add(head: string, next: Next): void {
    if (next === 'frame') this.#frames++;
    else if (typeof next === 'object') this.#known++;
    else if (next !== 'rest') this.#anchored++;
    const parts = head.match(PARTS) ?? [];
    // Traces are indented.
    if (parts.length > MAX_PARTS || head === '' || (next === 'frame' && head.trim() === '')) return;
    const key = keyOf(parts);
    if (next === 'tag') this.addEntry(head);
    const shape = this.#shapes.get(key) ?? {
      key,
      head,
      parts,
      values: parts.map((part) => new Set([part])),
      anchored: 0,
      isTagged: false,
      known: 0,
      kinds: new Set(),
      frames: 0,
      rests: 0,
    };
    if (!this.#shapes.has(key) && this.#shapes.size >= MAX_SHAPES) return;
    this.#shapes.set(key, shape);
    addValues(shape, parts);
    shape.isTagged ||= next === 'tag';
    if (next === 'frame') shape.frames++;
    else if (next === 'rest') shape.rests++;
    else if (typeof next === 'object') {
      shape.known++;
      shape.kinds.add(next.message);
    } else shape.anchored++;
  }

  /** @param head of an entry of syslog or the journal, up to the kernel's tag */
  addEntry(head: string): void {
    if (this.#entries.size < MAX_SHAPES) this.#entries.add(keyOf(head.match(PARTS) ?? []));
  }

  /**
   * Patterns of the prefixes that enough lines have.
   *
   * @param lines of the text, without empty ones
   * @param hasTags whether the kernel's lines have its tag: those of other programs have theirs
   */
  patterns(lines: readonly string[], hasTags: boolean): string[] {
    const shapes = [...this.#shapes.values()].sort((a, b) => timesOf(b) - timesOf(a));
    return shapes
      .filter((shape) => this.#isPrefix(shape, lines, hasTags))
      .slice(0, MAX_USED)
      .map(patternOf);
  }

  #isPrefix(shape: Shape, lines: readonly string[], hasTags: boolean): boolean {
    const { key, head, anchored, isTagged, known, kinds, frames } = shape;
    if (isRest(shape)) return [...this.#entries].some((entry) => entry.startsWith(key.trimEnd()));
    const isOfAll = addAll(shape, lines);
    const isOfMost = () => {
      const pattern = new RegExp(`^${patternOf(shape)}`);
      return lines.filter((line) => pattern.test(line)).length >= lines.length / 2;
    };
    if (TIME.test(head) && (hasTags ? !isTagged : PROGRAM.test(head))) return !hasTags && isOfMost();
    if (anchored > 0) return anchored >= this.#anchored / 2 || (anchored >= 2 && anchored >= this.#anchored / 50);
    // Lines of a trace begin alike; other messages with a function are fewer.
    if (frames >= 3 && frames > this.#frames / 2) return true;
    if (known === 0 || (!MARKED.test(head) && kinds.size < 3 && !isOfAll)) return false;
    return (known >= 2 && known >= (this.#anchored + this.#known) / 20) || isOfMost();
  }
}

function keyOf(parts: readonly string[]): string {
  return parts.map((part) => (IS_BLANK.test(part) ? ' ' : IS_WORD.test(part) ? 'w' : part)).join('');
}

/** Whether a shape is only that of further lines of entries. */
function isRest(shape: Shape): boolean {
  return shape.rests > 0 && shape.rests === timesOf(shape);
}

function timesOf({ anchored, known, frames, rests }: Shape): number {
  return anchored + known + frames + rests;
}

function addValues({ values }: Shape, parts: readonly string[]): void {
  for (const [index, part] of parts.entries()) {
    const all = values[index]?.add(part);
    if (all && all.size > FEW) values[index] = undefined;
  }
}

/**
 * Adds the values of all lines to a shape that all of them have. Its words vary little, unless they are times or
 * numbers: sentences and lists of names also begin alike.
 */
function addAll(shape: Shape, lines: readonly string[]): boolean {
  const like = new RegExp(`^${shape.parts.map(likePart).join('')}`);
  const heads: string[][] = [];
  for (const line of lines) {
    const head = like.exec(line)?.slice(1);
    if (head === undefined) return false;
    // Messages begin with blanks too.
    heads.push(head.map((part, index) => part.trim() || shape.parts[index] || ''));
  }
  const most = Math.max(2, lines.length / ALL);
  const variety = (index: number) => new Set(heads.map((head) => head[index]?.replace(/^.*\d.*$/, '0'))).size;
  if (lines.length < ALL || shape.parts.some((_, index) => variety(index) > most)) return false;
  for (const head of heads) addValues(shape, head);
  return true;
}
/** Minimum number of lines that show what all lines have. */
const ALL = 4;

function likePart(part: string, index: number, { length }: readonly string[]): string {
  if (IS_BLANK.test(part)) return index === 0 || index === length - 1 ? '([ \\t]*)' : '([ \\t]+)';
  return IS_WORD.test(part) ? `(${WORD})` : `(${escaped(part)})`;
}

function patternOf(shape: Shape): string {
  const { head, parts, values, anchored } = shape;
  const isTimed = TIME.test(head);
  const last = parts.length - 1;
  let isLoose = false;
  const patterns = parts.map((part, index) => {
    const all = [...(values[index] ?? [])];
    if (IS_BLANK.test(part)) {
      // Numbers are aligned, and a line without a message has no blank at its end.
      if (index === 0 && last > 0) return '[ \\t]*';
      return all.length === 1 ? `${part}${index === last && last > 0 ? '?' : ''}` : '[ \\t]+';
    }
    if (!IS_WORD.test(part)) return escaped(part);
    if (part.startsWith('kern.')) return 'kern\\.\\w+';
    if (/\d/.test(part)) return `(?=[^ \\t]*\\d)${WORD}`;
    // Further on, hosts and months may differ; the tag of a program does not.
    const isFixed = all.length > 0 && all.every((value) => Buffer.byteLength(value) === value.length);
    if (isFixed && (!isTimed || (all.length === 1 && parts[index + 1] === ':')))
      return `(?:${all.map(escaped).join('|')})`;
    isLoose ||= !isTimed;
    return WORD;
  });
  // Words that vary, without a time among them, may also begin a message.
  const follows = isLoose && anchored > 0 ? '(?=(?:<\\d+>)?\\[ *\\d|\\d+,\\d+,\\d|[a-z]{3,8} *:[a-z]{3,6} *:|[{])' : '';
  return patterns.join('') + (isRest(shape) ? `(?=${REST})` : follows);
}

/** A pattern that matches a text. */
function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');
}
