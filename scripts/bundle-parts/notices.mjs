import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** The packages among the inputs of a bundle, by folder. */
export function packagesOf(inputs) {
  const folders = inputs.flatMap(
    (input) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(input)?.slice(0, 1) ?? [],
  );
  return [...new Set(folders)].toSorted().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
    return { folder, name, version, license };
  });
}

/** Writes the licences of all packages among the inputs of a bundle. */
export function writeNotices(inputs, file) {
  const notices = packagesOf(inputs).map(({ folder, name, version, license }) => {
    const text = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    if (text === undefined) throw new Error(`${name} comes without its licence`);
    const words = readFileSync(`${folder}/${text}`, 'utf8').trim();
    return `${name} ${version} (${license})\n\n${words}\n`;
  });
  writeFileSync(file, notices.join(`\n${'-'.repeat(80)}\n\n`));
}
