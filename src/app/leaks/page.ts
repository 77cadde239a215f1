import { statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { listHtml } from '../../answers/html/list-page.js';
import { leaksBlocks } from '../../answers/leaks/text.js';
import { headline } from '../../answers/leaks/words.js';
import { shellWord } from '../../base/shell.js';
import type { LeaksAnswer } from '../../contracts/leaks.js';
import { headOf } from '../diff/inputs.js';
import type { Page } from '../kit/html-page.js';
import type { LeaksOptions } from './options.js';

/** Maximum number of stacks of a page. */
const PAGE_ROWS = 200;

/** Host and kernel that `perf script --header` writes at the start of a recording. Untrusted. */
const HOST = /^# hostname : (\S{1,64})$/m;
const RELEASE = /^# os release : (\S{1,128})$/m;

/**
 * Returns the page of `leaks`. Most recordings name neither their machine nor their time: the title then names
 * the file.
 */
export function leaksPage(answer: LeaksAnswer, options: LeaksOptions): Page {
  const { from, limit = PAGE_ROWS, type = 'page' } = options;
  const isLive = from === undefined;
  const [first = ''] = from ?? [];
  // A pipe cannot be read again.
  const isFile = statSync(first, { throwIfNoEntry: false })?.isFile();
  const head = isFile ? headOf(first).toString('utf8') : '';
  const host = isLive ? os.hostname() : (HOST.exec(head)?.[1] ?? null);
  const files = from?.map((file) => path.basename(file)).join(', ') ?? '';
  const page = {
    subject: `Kernel memory that is not freed${host === null ? `, ${files} (host not recorded)` : ''}`,
    host,
    release: isLive ? os.release() : (RELEASE.exec(head)?.[1] ?? null),
    at: isLive ? new Date().toISOString() : null,
    headline: headline(answer),
    complete: answer.complete,
    warnings: [],
    blocks: leaksBlocks(answer, limit),
  };
  const source = from?.map((file) => `--from ${shellWord(file)}`).join(' ') ?? `leaks --type ${type}`;
  return { source, headline: page.headline, html: (facts) => listHtml(page, facts) };
}
