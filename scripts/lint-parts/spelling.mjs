// Unknown words in printed text and in pages for users, checked with a dictionary and words.txt.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { printedText } from './printed-text.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const HERE = fileURLToPath(new URL('./', import.meta.url));
const PAGES = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...['docs', 'src/codes'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => `${folder}/${name}`),
  ),
];

const folder = mkdtempSync(join(tmpdir(), 'kdump-mem-spelling-'));
try {
  for (const page of PAGES)
    write(
      page,
      readFileSync(join(ROOT, page), 'utf8')
        .replaceAll(/^```.*?^```$/gms, (code) => code.replaceAll(/[^\n]/g, ''))
        .replaceAll(/`[^`\n]*`|\]\([^)\n]*\)/g, ' '),
    );
  const lines = new Map();
  // Lines of a shell script are code.
  for (const { file, line, text } of printedText(ROOT, 'src'))
    if (
      !file.endsWith('/generated.ts') &&
      !file.startsWith('src/capture/read/script') &&
      !file.includes('completion/scripts')
    )
      lines.set(file, `${lines.get(file) ?? ''}${line}: ${text.replaceAll('\n', ' ')}\n`);
  for (const [file, text] of lines) write(`${file}.txt`, text);
  const { status } = spawnSync(
    join(HERE, 'node_modules/.bin/cspell'),
    ['lint', '--no-progress', '--no-summary', '--unique', '--config', join(HERE, 'cspell.json'), '**'],
    { cwd: folder, stdio: 'inherit' },
  );
  process.exitCode = status ?? 1;
} finally {
  rmSync(folder, { recursive: true });
}

/**
 * @param {string} name
 * @param {string} text
 */
function write(name, text) {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), text);
}
