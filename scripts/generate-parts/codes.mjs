// The explanations of src/codes/*.md as constants, one a kind, whose types make the compiler compare them with the codes
// of the program (src/answers/explain/kinds.ts). The form of a page: "## KIND: NAME", then for each code
//
//   - **CODE**: its meaning.
//     - Source: how it is known.
//     - Action: what to do.
//     - Next: a command that prints details (optional).
//
// A line "Source: …", "Action: …" or "Next: …" above the first code is for all codes of the kind without one of their own.
// Other paragraphs there are for readers of the page.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const PAGES = 'src/codes';
const FIELDS = { Source: 'known', Action: 'next', Next: 'deeper' };

/**
 * Returns the lines of src/answers/explain/generated.ts.
 *
 * @param {string} root the repository
 * @throws {Error} for a page of another form, with its line
 */
export function codesSource(root) {
  const listed = readFileSync(join(root, 'src/answers/explain/kinds.ts'), 'utf8');
  // In the order of `kdump-mem explain`.
  const kinds = new Map([...listed.matchAll(/^ {2}'?([a-z-]+)'?: /gm)].map(([, kind]) => [kind, undefined]));
  for (const page of readdirSync(join(root, PAGES)).sort())
    readPage(`${PAGES}/${page}`, readFileSync(join(root, PAGES, page), 'utf8'), kinds);
  for (const [kind, found] of kinds) if (!found) throw new Error(`${PAGES}: no heading "## ${kind}: NAME"`);
  return source(kinds);
}

function readPage(page, text, kinds) {
  let kind;
  let code;
  for (const [index, line] of text.split('\n').entries()) {
    const refuse = (why) => {
      throw new Error(`${page}:${index + 1}: ${why}`);
    };
    const [, heading, name] = /^## ([a-z-]+): (.+)/.exec(line) ?? [];
    const [, item, means] = /^- \*\*(\S+)\*\*: (.+)/.exec(line) ?? [];
    const [, indent, label, words] = /^( {2}- |)(Source|Action|Next): (.+)/.exec(line) ?? [];
    if (heading) {
      if (!kinds.has(heading)) refuse(`src/answers/explain/kinds.ts has no kind ${heading}`);
      if (kinds.get(heading)) refuse(`a second kind ${heading}`);
      kind = { page, name, defaults: {}, codes: new Map() };
      kinds.set(heading, kind);
      code = undefined;
    } else if (item) {
      if (!kind) refuse('a code before the first kind');
      if (kind.codes.has(item)) refuse(`a second explanation of ${item}`);
      code = { means, refuse };
      kind.codes.set(item, code);
    } else if (label) {
      const target = indent ? code : kind?.defaults;
      if (!target || (!indent && code)) refuse(`${label} without a code or kind`);
      if (target[FIELDS[label]]) refuse(`a second ${label}`);
      target[FIELDS[label]] = words;
    } else if (line !== '' && code) refuse('neither a code nor its Source, Action or Next');
  }
}

function source(kinds) {
  const lines = [
    "import type { CodesOf } from './kinds.js';",
    "import type { Section } from '../../contracts/explain.js';",
  ];
  const explained = [...kinds].filter(([, { codes }]) => codes.size > 0);
  for (const [kind, { page, defaults, codes }] of explained) {
    lines.push(`export const ${nameOf(kind)}: Section<'${page}', CodesOf['${kind}']> = {`);
    for (const [code, { means, refuse, ...own }] of codes) {
      const { known, next, deeper } = { ...defaults, ...own };
      if (!known || !next) refuse(`${code} has no ${known ? 'Action' : 'Source'}`);
      lines.push(`  '${code}': ${JSON.stringify({ means, known, next, deeper })},`);
    }
    lines.push('};');
  }
  lines.push('/** Printed names of kinds. */', 'export const NAMES = {');
  for (const [kind, { name }] of kinds) lines.push(`  '${kind}': ${JSON.stringify(name)},`);
  lines.push('};', 'export const EXPLAINED = {');
  for (const [kind] of explained) lines.push(`  '${kind}': ${nameOf(kind)},`);
  return [...lines, '};'];
}

/** read-error: READ_ERROR */
function nameOf(kind) {
  return kind.toUpperCase().replaceAll('-', '_');
}
