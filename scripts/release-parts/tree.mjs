// The contents of an installed package, with paths below /.
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';

const DOCUMENTS = 'usr/share/doc/kdump-mem';
/** Paths as in the clone; the units and CHANGELOG.md are elsewhere. */
const COPIED = [
  'README.md',
  'SECURITY.md',
  'CONTRIBUTING.md',
  'docs',
  'schemas',
  'deploy/container',
  'deploy/grafana',
  'deploy/kdump',
  'deploy/kubernetes',
  'deploy/prometheus',
  'deploy/sos',
  'deploy/supportconfig',
];
/** By shell: the command that prints its completion, and the shell's folder for it. */
const COMPLETIONS = {
  bash: ['kdump-mem', 'skcheck'].map((name) => `usr/share/bash-completion/completions/${name}`),
  zsh: ['usr/share/zsh/vendor-completions/_kdump-mem'],
  fish: ['kdump-mem', 'skcheck'].map((name) => `usr/share/fish/vendor_completions.d/${name}.fish`),
};

/**
 * Lays a package out below a folder.
 *
 * @param {{ root: string, program: string, notices: string, nodeLicence: string, sbom: string }} parts program:
 * the executable of both commands
 */
export function layOut({ root, program, notices, nodeLicence, sbom }) {
  const at = (path) => {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    return file;
  };
  const write = (path, content) => writeFileSync(at(path), content);
  cpSync(program, at('usr/bin/kdump-mem'));
  symlinkSync('kdump-mem', at('usr/bin/skcheck'));
  for (const page of readdirSync('dist/man'))
    write(`usr/share/man/man1/${page}.gz`, packed(readFileSync(join('dist/man', page))));
  for (const [shell, paths] of Object.entries(COMPLETIONS)) {
    const script = execFileSync(process.execPath, ['dist/bin/kdump-mem.js', 'completion', shell]);
    for (const path of paths) write(path, script);
  }
  for (const unit of readdirSync('deploy/systemd')) {
    const text = readFileSync(join('deploy/systemd', unit), 'utf8');
    write(`usr/lib/systemd/system/${unit}`, text.replaceAll('/usr/local/', '/usr/'));
  }
  cpSync('deploy/kdump/kdump-mem-vmcore', at('usr/libexec/kdump-mem/kdump-mem-vmcore'));
  write(`${DOCUMENTS}/copyright`, copyright(notices, nodeLicence));
  write(`${DOCUMENTS}/kdump-mem.cdx.json`, sbom);
  write(`${DOCUMENTS}/CHANGELOG.md.gz`, packed(readFileSync('CHANGELOG.md')));
  for (const path of COPIED) cpSync(path, at(`${DOCUMENTS}/${path}`), { recursive: true });
  const dump = 'fixtures/incident.vmcore';
  cpSync(dump, at(`${DOCUMENTS}/examples/${basename(dump)}`));
  equalModes(root);
}

/** Without a name and a time: the same bytes for the same content. */
function packed(bytes) {
  return gzipSync(bytes, { level: 9 });
}

function copyright(notices, nodeLicence) {
  const line = `\n${'-'.repeat(80)}\n\n`;
  const parts = [
    readFileSync('LICENSE', 'utf8'),
    `In the executable are these packages:\n\n${readFileSync(notices, 'utf8')}`,
    `And Node.js:\n\n${readFileSync(nodeLicence, 'utf8')}`,
  ];
  return parts.join(line);
}

/** Independent of the builder's umask. */
function equalModes(folder) {
  chmodSync(folder, 0o755);
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) equalModes(path);
    else if (entry.isFile()) chmodSync(path, statSync(path).mode & 0o100 ? 0o755 : 0o644);
  }
}
