import type { CensusEntry } from '../../account/census-entry.js';
import type { Site, SiteFrame } from '../../leaks/recording.js';
import { callers } from '../../leaks/site-frames.js';
import { escapeText } from '../text/escape.js';

/** How many functions name a site in a line. */
const NAMED = 3;

/** A function for people; of a line of source that. */
export function siteFrameName({ symbol, module, line }: SiteFrame): string {
  const name = symbol === null ? '?' : escapeText(symbol);
  const of = module === null ? '' : ` [${escapeText(module)}]`;
  return line === null
    ? `${name}${of}`
    : `${escapeText(line)}${symbol === null ? '' : ` ${name}`}${of}`;
}

/** Who allocates, without functions of the allocator: `receive_mergeable ← virtnet_poll ← __napi_poll`. */
export function siteName({ frames }: Site, most = NAMED): string {
  const named = callers(frames).slice(0, most).map(siteFrameName);
  return named.length === 0 ? '(no stack)' : named.join(' ← ');
}

/** Whose a socket is: `pid 4711 (nginx) fd 11`. */
export function socketOwner(entry: CensusEntry): string {
  const [holder] = entry.holders;
  if (!holder) return 'a socket that no process has';
  const others = entry.holders.length - 1;
  const more = others === 0 ? '' : ` and ${others} more`;
  return `pid ${holder.pid} (${escapeText(holder.comm)}) fd ${holder.fd}${more}`;
}
