/** Escapes text for Markdown. */
export function plain(words) {
  return words.replaceAll(/[\\`*_{}[\]<>#|~:]/g, (sign) => `\\${sign}`);
}

/** Returns inline code, valid in a table too. */
export function code(words) {
  return `\`${words.replaceAll('|', '\\|')}\``;
}

/** Returns a code block. */
export function block(lines, language = '') {
  return `\`\`\`${language}\n${lines}\n\`\`\``;
}
