import { escapeText } from '../../answers/text/escape.js';

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

/**
 * commander's words for wrong usage, made inert: they quote arguments as they are. The line break
 * before its own suggestion stays, and the last one; every other is an argument's.
 */
export function escapeUsage(text: string): string {
  const { words = '', suggestion = '' } =
    /^(?<words>.*?)(?<suggestion>\n\(Did you mean [^\n]*\?\))?\n?$/s.exec(text)?.groups ?? {};
  const lines = suggestion === '' ? [words] : [words, suggestion.slice(1)];
  return `${lines.map(escapeText).join('\n')}\n`;
}
