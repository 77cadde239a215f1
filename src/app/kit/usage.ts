import { escapeText } from '../../answers/text/escape.js';

/**
 * Joins commander's usage error into one line: its suggestions (`(Did you mean --vmcore?)`) are on a line of
 * their own.
 */
export function usageSentences(text: string): string {
  return text
    .replace(/^error: /, '')
    .trim()
    .replace(/\.?\n\((Did you mean [^\n]*\?)\)$/, '. $1')
    .replaceAll('command-argument value', 'the argument');
}

/**
 * Escapes commander's usage error, which quotes arguments unchanged. The line break before commander's
 * suggestion and the final one remain; any other belongs to an argument.
 */
export function escapeUsage(text: string): string {
  const { words = '', suggestion = '' } =
    /^(?<words>.*?)(?<suggestion>\n\(Did you mean [^\n]*\?\))?\n?$/s.exec(text)?.groups ?? {};
  const lines = suggestion === '' ? [words] : [words, suggestion.slice(1)];
  return `${lines.map(escapeText).join('\n')}\n`;
}
