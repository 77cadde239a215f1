import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { withEnding } from './places.mjs';

/** Returns the page of all schemas. */
export function schemasPage(folder) {
  const rows = readdirSync(folder)
    .toSorted()
    .map((file) => {
      const [, name, version] = /^(.*)-(\d+)\.json$/.exec(file);
      const schema = name === 'skcheck' ? `skcheck/${version}` : `kdump-mem.${name}/${version}`;
      return `| \`${schema}\` | [${file}](/schemas/${file}) |`;
    });
  return [
    '# Schemas',
    'JSON Schema of every answer (`--json`) and of every line of `--ndjson`. The field `schema` has its name.',
    'Within a version, fields and codes are only added.',
    ['| in `schema` | file |', '| --- | --- |', ...rows].join('\n'),
    '',
  ].join('\n\n');
}

/** Returns the page of deploy/, with a heading for each of its folders. */
export function deployPage(folder) {
  const parts = readdirSync(folder, { withFileTypes: true })
    .filter((each) => each.isDirectory())
    .flatMap(({ name }) => [
      `## ${name}`,
      filesBelow(join(folder, name))
        .map((file) => `- [${file}](/deploy/${name}/${withEnding(file)})`)
        .join('\n'),
    ]);
  return ['# Files to deploy', 'The packages contain these files in the folder deploy.', ...parts, ''].join('\n\n');
}

function filesBelow(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((each) => each.isFile())
    .map((each) => join(each.parentPath, each.name).slice(folder.length + 1))
    .toSorted();
}
