import { escapeText } from '../../base/escape.js';
import type { LeakSurvivors } from '../../contracts/leaks.js';
import { callers, type Site, type SiteFrame } from '../../records/allocation-sites.js';

/** Number of functions of a site that a row shows. */
const NAMED = 3;

/** Returns the printed name of a stack frame: the function, or file and line. */
export function siteFrameName({ symbol, module, line }: SiteFrame): string {
  const name = symbol === null ? '?' : escapeText(symbol);
  const of = module === null ? '' : ` [${escapeText(module)}]`;
  return line === null ? `${name}${of}` : `${escapeText(line)}${symbol === null ? '' : ` ${name}`}${of}`;
}

/**
 * Returns the allocation site without the allocator’s own functions: `receive_mergeable ← virtnet_poll ←
 * __napi_poll`.
 */
export function siteName({ frames }: Pick<Site, 'frames'>, most = NAMED): string {
  const named = callers(frames).slice(0, most).map(siteFrameName);
  return named.length === 0 ? '(no stack)' : named.join(' ← ');
}

/** Returns the owner of a socket: `pid 4711 (nginx) fd 11`. */
export function socketOwner({ holders }: LeakSurvivors['sockets'][number]): string {
  const [holder] = holders;
  if (!holder) return 'a socket without a process';
  const others = holders.length - 1;
  const more = others === 0 ? '' : ` and ${others} more`;
  return `pid ${holder.pid} (${escapeText(holder.comm)}) fd ${holder.fd}${more}`;
}
