/** Words as roff prints them: none of it is taken for its own language. */
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

/** Lines as they are. */
export function preformatted(lines) {
  return ['.nf', ...lines.split('\n').map(text), '.fi'];
}
