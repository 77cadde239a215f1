// The release files of an architecture: a tar, a .deb and an .rpm, with node inside, and a bill of materials.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { bothCommands } from '../bundle-parts/entries.mjs';
import { packagesOf, writeNotices } from '../bundle-parts/notices.mjs';
import { bundle, putInto } from '../package-parts/executable.mjs';
import { makeDeb } from './deb.mjs';
import { fetchNode, nodePackage } from './node.mjs';
import { makeRpm, rpmName } from './rpm.mjs';
import { sbomOf } from './sbom.mjs';
import { layOut } from './tree.mjs';

const OUT = resolve('dist/release');
const CACHE = join(OUT, '.node');
const OWN = { x64: 'amd64', arm64: 'arm64' }[process.arch];
const DESCRIPTION = [
  'finds where the memory of a Linux machine is, and what holds it',
  'kdump-mem reads a vmcore, the running kernel or a capture of a host:',
  'memory by categories, processes, sockets and what they pin, leaks.',
  'skcheck finds sockets that their process stopped reading. It includes Node.js.',
];

const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
const asked = process.argv.slice(2);
const architectures = asked.length > 0 ? asked : ['amd64', 'arm64'];
for (const architecture of architectures)
  if (!['amd64', 'arm64'].includes(architecture)) {
    process.stderr.write(`release: there is no ${architecture}: amd64 or arm64.\n`);
    process.exit(2);
  }
mkdirSync(OUT, { recursive: true });
const work = mkdtempSync(join(tmpdir(), 'kdump-mem-release-'));
try {
  const main = join(work, 'main.cjs');
  const notices = join(work, 'notices');
  const inputs = await bundle(bothCommands(), main);
  writeNotices(inputs, notices);
  const packages = packagesOf(inputs);
  for (const architecture of architectures) await make(architecture, main, notices, packages);
} finally {
  rmSync(work, { recursive: true, force: true });
}
writeSums();

async function make(architecture, main, notices, packages) {
  const node = fetchNode(architecture, CACHE);
  const preparedBy = join(fetchNode(OWN, CACHE), 'bin/node');
  const program = join(work, `kdump-mem-${architecture}`);
  await putInto({ main, node: join(node, 'bin/node'), program, preparedBy });
  const root = join(work, architecture);
  const env = { ...process.env, SOURCE_DATE_EPOCH: timeOfSources() };
  const name = `kdump-mem-${version}-linux-${architecture}`;
  const seconds = Number(env.SOURCE_DATE_EPOCH);
  const contents = { version, packages, node: nodePackage(architecture), seconds };
  const sbom = `${JSON.stringify(sbomOf(contents), null, 2)}\n`;
  writeFileSync(join(OUT, `${name}.cdx.json`), sbom);
  layOut({ root, program, notices, nodeLicence: join(node, 'LICENSE'), sbom });
  rmSync(program);
  const files = {
    tar: join(OUT, `${name}.tar.gz`),
    deb: join(OUT, `kdump-mem_${version}-1_${architecture}.deb`),
    rpm: join(OUT, rpmName(version, architecture)),
  };
  makeTar(root, name, files.tar, env);
  const order = { root, architecture, version, description: DESCRIPTION, env };
  makeDeb({ ...order, file: files.deb });
  makeRpm({ ...order, file: files.rpm });
  for (const file of Object.values(files))
    process.stdout.write(`${file}: ${(statSync(file).size / 1024 ** 2).toFixed(1)} MiB\n`);
}

/** In a top-level folder; the same bytes in every build. */
function makeTar(root, name, file, env) {
  const owner = ['--owner=0', '--group=0', '--numeric-owner', '--sort=name'];
  const time = [`--mtime=@${env.SOURCE_DATE_EPOCH}`];
  const tar = ['-C', join(root, 'usr'), `--transform=s,^\\.,${name},S`, '-cf', '-', '.'];
  const bytes = execFileSync('tar', [...owner, ...time, ...tar], { maxBuffer: 2 ** 30 });
  writeFileSync(file, execFileSync('gzip', ['-n', '-6'], { input: bytes, maxBuffer: 2 ** 30 }));
}

/** Seconds since 1970: of the commit, or of the changelog if there is no repository. */
function timeOfSources() {
  const given = process.env.SOURCE_DATE_EPOCH;
  if (given !== undefined) return given;
  try {
    const stdio = ['ignore', 'pipe', 'ignore'];
    return execFileSync('git', ['log', '-1', '--format=%ct'], { encoding: 'utf8', stdio }).trim();
  } catch {
    return String(Math.floor(statSync('CHANGELOG.md').mtimeMs / 1000));
  }
}

function writeSums() {
  const lines = readdirSync(OUT)
    .filter((name) => /\.(tar\.gz|deb|rpm|cdx\.json)$/.test(name))
    .toSorted()
    .map((name) => {
      const sum = createHash('sha256')
        .update(readFileSync(join(OUT, name)))
        .digest('hex');
      return `${sum}  ${name}\n`;
    });
  writeFileSync(join(OUT, 'SHA256SUMS'), lines.join(''));
}
