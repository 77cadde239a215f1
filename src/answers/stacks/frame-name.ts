import type { Frame } from '../../profile/perf/sample.js';
import { escapeText } from '../text/escape.js';

/** A frame for people: its function, or the file and the address in it. */
export function frameName({ symbol, module, offset }: Frame): string {
  return escapeText(symbol ?? `${baseName(module)}+${offset ?? '?'}`);
}

/** The last part of a module's path. */
export function baseName(module: string): string {
  return module.startsWith('/') ? module.slice(module.lastIndexOf('/') + 1) : module;
}
