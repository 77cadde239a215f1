/**
 * commander's words for wrong usage as the one line that every error is: its suggestions
 * (`(Did you mean --vmcore?)`) stand on a line of their own.
 */
export function usageLine(text: string): string {
  const words = text
    .replace(/^error: /, '')
    .trim()
    .replace(/\.?\n\((Did you mean [^\n]*\?)\)$/, '. $1')
    .replaceAll('command-argument value', 'the argument');
  return `kdump-mem: ${words}\n`;
}
