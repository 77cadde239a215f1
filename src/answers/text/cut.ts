/** Text in which every UTF-16 unit is one column: almost all of ours. */
const PLAIN = /^[\u0020-\u007e\u00a0-\u00ac\u00ae-\u02ff\u2010-\u2027\u2190-\u21ff\u2260-\u2265]*$/;

/** How many columns of a terminal a text takes, once it is escaped. */
export function columnsOf(text: string): number {
  if (PLAIN.test(text)) return text.length;
  let columns = 0;
  for (const char of text) columns += columnsOfChar(char);
  return columns;
}

/** A pattern literal costs V8 a lookup of Unicode tables: created here, since few runs need it. */
function columnsOfChar(char: string): number {
  // Accents stand over the letter before: a terminal does not move on.
  if (/[\p{Mn}\p{Me}]/u.test(char)) return 0;
  const isWide =
    /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Emoji_Presentation}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]/u;
  return isWide.test(char) ? 2 : 1;
}

/** The beginning of a text that fits into the columns. */
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

/** The first items of a list of names with sizes, `a 2 MiB, b 1 MiB`: a name loses its end rather than its size. */
export function cutItems(text: string, width: number): string {
  if (columnsOf(text) <= width) return text;
  const items = text.split(', ');
  for (let kept = items.length - 1; kept > 0; kept--) {
    const list = `${items.slice(0, kept).join(', ')}, …`;
    if (columnsOf(list) <= width) return list;
  }
  const [, name = '', size = ''] = /^(.*?)( [\d.]+ [A-Z]i?B)?$/s.exec(items[0] ?? '') ?? [];
  const room = width - size.length;
  return room < 2
    ? cut(text, width)
    : `${columnsOf(name) <= room ? name : cut(name, room).replace(/\d+\u2026$/, '…')}${size}`;
}

/** The two ends of a connection; a host may be cut, a port not. */
const ENDS = /^(.*?)((?::\d+)?) ([\u2190\u2192\u2194]) (.*?)((?::\d+)?)$/s;

/** Both ends of a text, as far as they fit. */
export function cutMiddle(text: string, width: number): string {
  if (columnsOf(text) <= width) return text;
  const [, local = '', port = '', arrow = '', peer = '', peerPort = ''] = ENDS.exec(text) ?? [];
  const room = width - port.length - peerPort.length - 3;
  if (port + peerPort !== '' && room >= 2) {
    const half = Math.max(Math.floor(room / 2), room - columnsOf(peer));
    const near = cut(local, Math.min(half, columnsOf(local)));
    return `${near}${port} ${arrow} ${cut(peer, room - columnsOf(near))}${peerPort}`;
  }
  const front = firstOf([...text], Math.ceil((width - 1) / 2));
  const back = firstOf([...text].reverse(), width - 1 - columnsOf(front));
  return `${front}…${[...back].reverse().join('')}`;
}

/** The first characters that fit. */
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
 * Wraps at spaces; a word longer than a line is split.
 *
 * @param width columns of the terminal; null: no terminal, and nothing is wrapped
 */
export function wrap(text: string, width: number | null): string[] {
  if (width === null || columnsOf(text) <= width) return [text];
  const lines: string[] = [];
  let rest = text;
  while (columnsOf(rest) > width) {
    // At least one character, so that the loop ends.
    const fits = firstOf([...rest], width) || [...rest].slice(0, 1).join('');
    const space = rest[fits.length] === ' ' ? fits.length : fits.lastIndexOf(' ');
    // Flags of a mask: `A|B|C`.
    const bar = fits.lastIndexOf('|') + 1;
    const end = [space, bar].find((at) => at > fits.length / 2) ?? fits.length;
    lines.push(rest.slice(0, end).trimEnd());
    rest = rest.slice(end).trimStart();
  }
  if (rest !== '') lines.push(rest);
  return lines;
}
