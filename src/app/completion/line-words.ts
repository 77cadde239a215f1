const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t' };

/** A space, $'…', '…', "…", a backslash and what it is before, or any other character. */
const PART = /(\s+)|\$'((?:[^\\']|\\.)*)'?|'([^']*)'?|"((?:[^\\"]|\\.)*)"?|\\(.?)|(.)/gs;

/**
 * The words of a command line as bash reads them, without quotes and backslashes. Nothing is expanded or
 * evaluated; a quote that nobody closed yet goes to the end.
 */
export function lineWords(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  for (const [, space, ansi, single, double, escaped, plain] of line.matchAll(PART)) {
    if (space !== undefined) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (ansi !== undefined) {
      word = `${word ?? ''}${ansi.replaceAll(/\\(.)/gs, (_, of) => ESCAPES[of] ?? of)}`;
    } else if (double !== undefined) {
      word = `${word ?? ''}${double.replaceAll(/\\([$`"\\])/g, '$1')}`;
    } else {
      word = `${word ?? ''}${single ?? escaped ?? plain ?? ''}`;
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}
