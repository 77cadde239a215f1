import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a result depends on. */
const SOURCES = ['src', 'test', 'scripts', 'fixtures', 'package-lock.json', 'vitest.config.ts'];

/** Results of runs, a line of JSON each, outside git. */
export const RUNS = '.test-runs.ndjson';

/** Returns the commit, and a hash of all files that tests depend on as they are now; nulls without git. */
export function sources(root) {
  const git = (...args) =>
    execFileSync('git', ['-C', root, ...args], { encoding: 'utf8', maxBuffer: 1 << 28, stdio: 'pipe' });
  try {
    const hash = createHash('sha256');
    const listed = git('ls-files', '-z', '--cached', '--others', '--exclude-standard', '--', ...SOURCES);
    for (const path of [...new Set(listed.split('\0'))].sort()) {
      if (path === '' || !existsSync(join(root, path))) continue;
      hash
        .update(`${path}\0`)
        .update(readFileSync(join(root, path)))
        .update('\0');
    }
    return { commit: git('rev-parse', '--short=12', 'HEAD').trim(), sources: hash.digest('hex').slice(0, 16) };
  } catch {
    return { commit: null, sources: null };
  }
}

/** Appends the result of one run of one suite. */
export function record(root, run) {
  appendFileSync(join(root, RUNS), `${JSON.stringify(run)}\n`);
}

/** Returns the latest whole run of each suite. A line that a full disk cut off is no run. */
export function latestRuns(root) {
  const path = join(root, RUNS);
  const runs = new Map();
  if (!existsSync(path)) return runs;
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    try {
      const run = JSON.parse(line);
      if (!run.partial) runs.set(run.suite, run);
    } catch {}
  }
  return runs;
}
