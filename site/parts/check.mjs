// Reports broken links of a built site: pages, files, anchors.
//
//   node check.mjs FOLDER BASE
import { brokenLinks } from './broken-links.mjs';

const [folder, base] = process.argv.slice(2);
const { pages, broken } = brokenLinks(folder, base);
for (const { page, link } of broken) process.stderr.write(`${page}: ${link} leads nowhere\n`);
process.stdout.write(`${pages} pages, ${broken.length} broken links\n`);
process.exitCode = broken.length > 0 || pages === 0 ? 1 : 0;
