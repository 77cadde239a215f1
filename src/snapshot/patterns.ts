import { isHostError } from '../host/error.js';
import type { HostSource } from '../host/host-source.js';

/** The paths that a pattern stands for: `*` is any run of characters of a name. None where nothing is there. */
export function expand(source: HostSource, pattern: string): string[] {
  let paths = [''];
  for (const part of pattern.split('/').slice(1)) {
    if (!part.includes('*')) {
      paths = paths.map((path) => `${path}/${part}`);
      continue;
    }
    const form = new RegExp(`^${part.split('*').map(escaped).join('.*')}$`, 's');
    paths = paths.flatMap((path) =>
      namesIn(source, path)
        .filter((name) => form.test(name))
        .map((name) => `${path}/${name}`),
    );
  }
  return paths;
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

function namesIn(source: HostSource, path: string): readonly string[] {
  try {
    return source.list(path);
  } catch (error) {
    if (isHostError(error)) return [];
    throw error;
  }
}
