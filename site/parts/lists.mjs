import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { withEnding } from './places.mjs';

/** The page of all schemas. */
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
    'The shape of every answer (`--json`) and of every line of `--ndjson`, as JSON Schema. Its name stands in the field `schema`.',
    'Within a version fields and codes are added, and none is changed or taken away.',
    ['| in `schema` | file |', '| --- | --- |', ...rows].join('\n'),
    '',
  ].join('\n\n');
}

/** The page of what is in deploy/: a heading for each of its folders. */
export function deployPage(folder) {
  const parts = readdirSync(folder, { withFileTypes: true })
    .filter((each) => each.isDirectory())
    .flatMap(({ name }) => [
      `## ${name}`,
      filesBelow(join(folder, name))
        .map((file) => `- [${file}](/deploy/${name}/${withEnding(file)})`)
        .join('\n'),
    ]);
  return [
    '# Files to deploy',
    'As they stand in the folder deploy of the packages.',
    ...parts,
    '',
  ].join('\n\n');
}

function filesBelow(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((each) => each.isFile())
    .map((each) => join(each.parentPath, each.name).slice(folder.length + 1))
    .toSorted();
}
