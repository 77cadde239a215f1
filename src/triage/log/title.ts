/** More says nothing that people search for: it is what lines of others were mixed into. */
const MOST_LETTERS = 120;

/** What differs from one report of a fault to the next, and its name: as syzbot writes titles. */
const VARIABLE: readonly (readonly [RegExp, string])[] = [
  [/(?<![A-Za-z0-9])(?:0x)?[0-9a-f]{6,}/g, 'ADDR'],
  [/\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}/g, 'IP'],
  [/(\.\w+)(?::\d+)+/g, '$1:LINE'],
  [/([A-Za-z][\w.]+)\+0x[0-9a-z]+\/0x[0-9a-z]+/g, '$1'],
  [/CPU#\d+/g, 'CPU'],
  [/(\W)\d+(?=\W|$)/g, '$1NUM'],
  [/\d{7,}/g, 'NUM'],
];

/** A title without addresses, numbers and line numbers. @param text is hostile */
export function plainTitle(text: string): string {
  let title = text.slice(0, 4 * MOST_LETTERS);
  for (const [what, name] of VARIABLE) title = title.replace(what, name);
  return title
    .replace(/\s+/g, ' ')
    .replace(/[^ -~]/g, '')
    .slice(0, MOST_LETTERS)
    .trim();
}

/** `_ZN4core3fmt5write17h0123456789abcdefE` as `core::fmt::write`, `_Z3fooi` as `foo`: without types and hash. */
export function demangled(symbol: string): string {
  const names: string[] = [];
  let rest = symbol.replace(/^_ZN?(?=\d)/, '');
  if (rest === symbol) return symbol;
  for (let found = /^\d{1,4}/.exec(rest); found; found = /^\d{1,4}/.exec(rest)) {
    const begin = found[0].length;
    names.push(rest.slice(begin, begin + Number(found[0])));
    rest = rest.slice(begin + Number(found[0]));
    if (!symbol.startsWith('_ZN')) break;
  }
  const known = names.filter((name) => !/^h[0-9a-f]{16}$/.test(name));
  return known.join('::') || symbol;
}
