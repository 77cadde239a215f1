/**
 * commander's words for wrong usage in one line: its suggestions (`(Did you mean --vmcore?)`) stand on a line of
 * their own.
 */
export function usageSentences(text: string): string {
  return text
    .replace(/^error: /, '')
    .trim()
    .replace(/\.?\n\((Did you mean [^\n]*\?)\)$/, '. $1')
    .replaceAll('command-argument value', 'the argument');
}
