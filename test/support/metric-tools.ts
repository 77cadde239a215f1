import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** deploy/ of this repository. */
export const DEPLOY = fileURLToPath(new URL('../../deploy/', import.meta.url));

/** The folder of the Prometheus programs, which deploy/tools fetches once. */
export function metricTools(): string {
  const found = spawnSync(join(DEPLOY, 'tools'), { encoding: 'utf8' });
  if (found.status !== 0) throw new Error(`deploy/tools: ${found.stderr}`);
  return found.stdout.trim();
}
