/** Words in which nothing is Markdown. */
export function plain(words) {
  return words.replaceAll(/[\\`*_{}[\]<>#|~:]/g, (sign) => `\\${sign}`);
}

/** Something as code in a line, also in a table. */
export function code(words) {
  return `\`${words.replaceAll('|', '\\|')}\``;
}

/** A block of code. */
export function block(lines, language = '') {
  return `\`\`\`${language}\n${lines}\n\`\`\``;
}
