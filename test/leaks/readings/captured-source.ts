import { readFileSync } from 'node:fs';
import { HostError } from '../../../src/base/errors.js';
import type { ReadingSource } from '../../../src/leaks/readings/reading-source.js';

export const CAPTURED = new URL('captured/', import.meta.url);

/** Two readings each of guests with a leaking module; the tests contain the module's own counts. */
export function captured(name: string): string {
  return readFileSync(new URL(name, CAPTURED), 'utf8');
}

/** Files of a kernel, each of which changes at its own time. */
export class MadeSource implements ReadingSource {
  /** Texts by path; a list has one text per reading. */
  constructor(readonly files: Readonly<Record<string, string | readonly string[] | HostError>>) {}

  moment = 0;

  readonly lines = async (path: string, onLine: (text: string) => void): Promise<number> => {
    const lines = this.readText(path).split('\n');
    if (lines.at(-1) === '') lines.pop();
    for (const line of lines) onLine(line);
    return 0;
  };

  readonly readText = (path: string): string => {
    const found = this.files[path];
    if (found === undefined) throw new HostError('gone', `${path}: not found`);
    if (found instanceof HostError) throw found;
    return typeof found === 'string' ? found : (found[Math.min(this.moment, found.length - 1)] ?? '');
  };

  readonly readFirst = (path: string): string => this.readText(path).slice(0, 65_536);

  readonly list = (path: string): string[] => {
    const below = Object.keys(this.files).filter((name) => name.startsWith(`${path}/`));
    if (below.length === 0 && !(path in this.files)) throw new HostError('gone', `${path}: not found`);
    return [...new Set(below.map((name) => name.slice(path.length + 1).split('/')[0] ?? ''))];
  };
}
