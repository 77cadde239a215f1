/** Escapes words for roff, so that none of them is parsed as markup. */
export function text(words) {
  const escaped = words
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll("'", '\\(aq')
    .replaceAll('`', '\\(ga')
    .replaceAll('^', '\\(ha')
    .replaceAll('~', '\\(ti');
  // A line that begins with a dot is a macro.
  return escaped.replaceAll(/^\./gm, '\\&.');
}

export function bold(words) {
  return `\\fB${text(words)}\\fR`;
}

export function italic(words) {
  return `\\fI${text(words)}\\fR`;
}

/** Lines printed unchanged. */
export function preformatted(lines) {
  return ['.nf', ...lines.split('\n').map(text), '.fi'];
}
