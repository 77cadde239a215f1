import type { Check } from '../../doctor/check.js';
import { wrap } from '../text/cut.js';
import { escapeText } from '../text/escape.js';
import { CHECK_WORDS } from './words.js';

/**
 * What works here, a line each, then what does not: who needs it, what works all the same, and what to do.
 *
 * @param program its name and version
 * @param width columns of the terminal; null: there is none, and no line is broken
 */
export function doctorText(
  checks: readonly Check[],
  program: string,
  width: number | null,
): string {
  const good = checks.filter(({ state }) => state === 'works');
  const bad = checks.filter(({ state }) => state !== 'works');
  const head = `${program} with Node ${process.versions.node}: ${good.length} of ${checks.length} features work here.`;
  const rows = checks.flatMap(({ code, state, found }) =>
    hanging(`${state.padEnd(7)}  ${code.padEnd(10)}  `, escapeText(found), width),
  );
  const advice = bad.map(({ code, state }) => {
    const { needs, without, remedy } = CHECK_WORDS[code];
    const only = state === 'partly' ? 'Partly' : 'Without it';
    return [
      `${code}: needed by ${needs.join(', ')}.`,
      ...hanging('  ', `${only}: ${without}`, width),
      ...hanging('  ', remedy, width),
    ].join('\n');
  });
  return [[head, '', ...rows].join('\n'), ...advice].join('\n\n');
}

function hanging(first: string, words: string, width: number | null): string[] {
  const room = width === null ? null : Math.max(20, width - first.length);
  const indent = ' '.repeat(first.length);
  return wrap(words, room).map((line, index) => `${index === 0 ? first : indent}${line}`);
}
