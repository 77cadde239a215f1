/** Text of which every UTF-16 unit is one column: almost all of ours. */
const PLAIN = /^[\u0020-\u007e\u00a0-\u00ac\u00ae-\u02ff\u2010-\u2027\u2190-\u21ff\u2260-\u2265]*$/;

/** How many columns of a terminal a text takes, once it is escaped. */
export function columnsOf(text: string): number {
  if (PLAIN.test(text)) return text.length;
  let columns = 0;
  for (const char of text) columns += columnsOfChar(char);
  return columns;
}

/** V8 looks up Unicode's tables for a pattern where it stands: here, as few starts come so far. */
function columnsOfChar(char: string): number {
  // Accents stand over the letter before: a terminal does not move on.
  if (/[\p{Mn}\p{Me}]/u.test(char)) return 0;
  const isWide =
    /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Emoji_Presentation}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]/u;
  return isWide.test(char) ? 2 : 1;
}

/** So much of the beginning as fits into so many columns. */
export function cut(text: string, width: number): string {
  return columnsOf(text) <= width ? text : `${firstOf([...text], width - 1)}…`;
}

/**
 * The same between words; a number that loses its unit goes with it, since half a figure is another one. A
 * pid has none.
 */
export function cutWords(text: string, width: number): string {
  const short = cut(text, width);
  if (short === text) return text;
  const words = short
    .slice(0, -1)
    .replace(/\S*$/, '')
    .replace(/(?<!pid)(^| )[-+\d.,]+ $/, '$1');
  return words === '' ? short : `${words}…`;
}

/** So much of both ends as fits. */
export function cutMiddle(text: string, width: number): string {
  if (columnsOf(text) <= width) return text;
  const front = firstOf([...text], Math.ceil((width - 1) / 2));
  const back = firstOf([...text].reverse(), width - 1 - columnsOf(front));
  return `${front}…${[...back].reverse().join('')}`;
}

/** So many of these characters as fit. */
function firstOf(chars: readonly string[], width: number): string {
  let [taken, columns] = ['', 0];
  for (const char of chars) {
    columns += columnsOfChar(char);
    if (columns > width) break;
    taken += char;
  }
  return taken;
}

/**
 * Breaks at spaces; a word longer than a line is broken where the line ends.
 *
 * @param width columns of the terminal; null: there is none, and nothing is broken
 */
export function wrap(text: string, width: number | null): string[] {
  if (width === null || columnsOf(text) <= width) return [text];
  const lines: string[] = [];
  let rest = text;
  while (columnsOf(rest) > width) {
    // At least one character, or there were no end.
    const fits = firstOf([...rest], width) || [...rest].slice(0, 1).join('');
    const space = rest[fits.length] === ' ' ? fits.length : fits.lastIndexOf(' ');
    const end = space > fits.length / 2 ? space : fits.length;
    lines.push(rest.slice(0, end).trimEnd());
    rest = rest.slice(end).trimStart();
  }
  if (rest !== '') lines.push(rest);
  return lines;
}
