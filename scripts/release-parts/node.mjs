// The Node inside the released packages: that of nodejs.org, from npm.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

export const NODE_VERSION = '24.21.0';

const INTEGRITY = {
  amd64: 'sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==',
  arm64: 'sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==',
};
const PLATFORM = { amd64: 'x64', arm64: 'arm64' };

/** The package with Node for an architecture, and the SHA-512 of its tar in hex. */
export function nodePackage(architecture) {
  const sha512 = Buffer.from(INTEGRITY[architecture].slice('sha512-'.length), 'base64').toString('hex');
  return { name: `node-linux-${PLATFORM[architecture]}`, version: NODE_VERSION, sha512 };
}

/** Fetches node for an architecture, unless it is there, and returns the folder of its package. */
export function fetchNode(architecture, cache) {
  const folder = join(cache, `node-${NODE_VERSION}-${architecture}`);
  if (existsSync(folder)) return folder;
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, '.node-'));
  try {
    const name = `${nodePackage(architecture).name}@${NODE_VERSION}`;
    const stdio = ['ignore', 'pipe', 'ignore'];
    const told = execFileSync('npm', ['pack', name, '--json', '--pack-destination', work], {
      stdio,
      encoding: 'utf8',
      maxBuffer: 64 * 1024 ** 2,
    });
    // npm 12 returns an object by name, earlier versions a list.
    const [{ filename, integrity }] = Object.values(JSON.parse(told.slice(told.search(/^[[{]/m))));
    if (integrity !== INTEGRITY[architecture]) throw new Error(`${name} is not what it was: ${integrity}`);
    const members = ['package/bin/node', 'package/LICENSE'];
    execFileSync('tar', ['-xzf', join(work, filename), '-C', work, ...members]);
    renameSync(join(work, 'package'), folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return folder;
}
