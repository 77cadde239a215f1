import { execFileSync, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Programs that tests compare with or use in a scene, as they call them, and the package of each. */
export const PROGRAMS = [
  'ip=iproute2',
  'ss=iproute2',
  'setpriv=util-linux',
  'pahole=dwarves',
  'hexdump=bsdextrautils',
  'systemd-analyze=systemd',
  'journalctl=systemd',
  '/lib/systemd/systemd-journal-remote=systemd-journal-remote',
  'pgrep=procps',
  '/usr/bin/perl=perl',
  'python3=python3',
  '/usr/bin/python3=python3',
  'jsonschema@/usr/bin/python3=python3-jsonschema',
  'mandoc=mandoc',
  'zsh=zsh',
  'fish=fish',
  'jq=jq',
  'shellcheck=shellcheck',
  'tmux=tmux',
  '/usr/bin/chromium=chromium',
];

/**
 * Returns the packages of missing programs. A program is `WHAT=PACKAGE`; WHAT is the form in which tests use it: a name
 * that PATH resolves, a path, or `module@python`.
 */
export function missing(programs, path = process.env.PATH ?? '') {
  const packages = programs.flatMap((program) => {
    const [what, name] = program.split('=');
    return isThere(what, path) ? [] : [name];
  });
  return [...new Set(packages)].sort();
}

function isThere(what, path) {
  if (what.startsWith('/')) return isProgram(what);
  const [module, python] = what.split('@');
  if (python) return spawnSync(python, ['-c', `import ${module}`], { stdio: 'ignore' }).status === 0;
  return path.split(delimiter).some((folder) => isProgram(join(folder, what)));
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Installs packages of Debian. @throws {Error} if apt-get fails */
export function install(packages) {
  const apt = (...args) =>
    // A machine that has just started may be installing updates. stdout is for results.
    execFileSync('apt-get', ['-qq', '-y', '-o', 'DPkg::Lock::Timeout=300', ...args], {
      stdio: ['ignore', process.stderr, process.stderr],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
  apt('update');
  apt('--no-install-recommends', 'install', ...packages);
}
