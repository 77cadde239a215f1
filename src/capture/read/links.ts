import { parseNamespaceMounts } from '../../host/namespaces.js';
import type { CapturedFiles } from './files.js';
import { linesOf } from './lines.js';

/** Maximum number of socket descriptors to read. */
const MAX_LINKS = 300_000;

/** pid (or `self`) → the inode of its network namespace, from `ls -l`. */
export function namespacesOf(captured: CapturedFiles, prefix: string): Map<string, string> {
  const text = captured.get(`${prefix}namespaces`) ?? '';
  return new Map(
    [...text.matchAll(/ \/proc\/(\d{1,10}|self)\/ns\/net -> net:\[(\d{1,15})\]$/gm)].map(
      ([, pid = '', inode = '']) => [pid, inode] as const,
    ),
  );
}

/**
 * The links of a sample: namespaces of each captured kind, and socket descriptors from `ls -l`.
 *
 * @param damage receives a message for each problem
 */
export function linksOf(
  captured: CapturedFiles,
  sample: number,
  damage: string[],
): Map<string, string> {
  const prefix = `sample-${sample}/`;
  const links = new Map<string, string>();
  for (const { inode, path } of parseNamespaceMounts(captured.get('proc/self/mountinfo') ?? ''))
    links.set(path, `net:[${inode}]`);
  for (const line of linesOf(captured.get(`${prefix}namespaces`) ?? '')) {
    const [, path, kind, target] =
      / (\/proc\/(?:\d{1,10}|self)\/ns\/(\w{1,20})) -> (\w{1,20}:\[\d{1,15}\])$/.exec(line) ?? [];
    if (path !== undefined && target?.startsWith(`${kind}:`)) links.set(path, target);
  }
  const limit = links.size + MAX_LINKS;
  let directory = '';
  for (const line of linesOf(captured.get(`${prefix}descriptors`) ?? '')) {
    if (links.size >= limit) {
      damage.push(`it has more than ${MAX_LINKS} socket descriptors`);
      break;
    }
    const heading = /^(\/proc\/\d{1,10}\/fd):$/.exec(line)?.[1];
    if (heading) directory = heading;
    const link = / (\d{1,10}) -> (socket:\[\d{1,15}\])$/.exec(line);
    if (link && directory !== '') links.set(`${directory}/${link[1]}`, link[2] ?? '');
  }
  return links;
}
