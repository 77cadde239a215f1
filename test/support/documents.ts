import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export const DOCUMENTS = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'fixtures/README.md',
  'fixtures/host/README.md',
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' }).flatMap((name) =>
    name.endsWith('.md') ? [`docs/${name}`] : [],
  ),
];
export const textOf = (path: string) => readFileSync(join(ROOT, path), 'utf8');

const BLOCK = /^```(\w*)\n(.*?)^```$/gms;

/**
 * Command lines of a document: all lines of shell blocks; in other blocks, lines after `$ ` and lines that begin
 * with one of our commands, up to two spaces, which precede its purpose; and inline code that begins with one.
 */
export function commandLines(text: string): string[] {
  const blocks = [...text.matchAll(BLOCK)].flatMap(([, kind, block = '']) => {
    const lines = block.replaceAll('\\\n', ' ').split('\n');
    if (kind === 'sh') return lines.map((line) => line.replace(/(^|\s)# .*$/, ''));
    return lines.flatMap((line) => {
      if (line.startsWith('$ ')) return [line.slice(2)];
      return /^(?:kdump-mem|skcheck) /.test(line) ? line.split(/ {2,}/).slice(0, 1) : [];
    });
  });
  const inLines = text.replaceAll(BLOCK, '').matchAll(/`((?:kdump-mem|skcheck) [^`]+)`/g);
  return [...blocks, ...Array.from(inLines, ([, code = '']) => code.replaceAll('\\|', '/'))];
}
