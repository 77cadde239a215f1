import { statSync } from 'node:fs';
import { attempt, HostError } from '../../host/error.js';

import type { Recording } from '../recording.js';
import { recordingOfCopies } from './copies.js';
import { recordingOfEvents } from './events.js';
import type { FromOrder } from './order.js';
import { type FileForm, recognise } from './recognise.js';

/**
 * A recording out of files: what `perf script` or tracefs printed of kmem events with stacks, or copies of what
 * the kernel keeps by itself (page_owner, page_owner_stacks, allocinfo, alloc_traces, vmallocinfo). Which of them it
 * is, is seen by what they say.
 *
 * @throws {HostError} `gone`, `denied`, `unreadable`
 */
export async function recordingFrom(order: FromOrder): Promise<Recording> {
  checkDifferent(order.paths);
  const forms = await Promise.all(order.paths.map(recognise));
  const [form] = forms;
  if (form === undefined) throw new HostError('unreadable', 'no file is given');
  const other = forms.findIndex((each) => each !== form);
  if (other >= 0)
    throw new HostError(
      'unreadable',
      `${order.paths[0]} is ${form} and ${order.paths[other]} is ${forms[other]}: they do not belong together`,
    );
  checkMeant(form, order);
  return form === 'trace-text' || form === 'perf-script'
    ? recordingOfEvents(form, order)
    : recordingOfCopies(form, order);
}

/** Of one file, given twice, nothing would seem to grow, and each event would come twice. @throws {HostError} */
function checkDifferent(paths: readonly string[]): void {
  const known = new Map<string, string>();
  for (const path of paths) {
    const { dev, ino } = attempt(path, () => statSync(path));
    const key = `${dev} ${ino}`;
    const other = known.get(key);
    if (other !== undefined)
      throw new HostError('unreadable', `${other} and ${path} are one file`, {
        next: 'Give copies of different moments, the oldest first.',
      });
    known.set(key, path);
  }
}

/** What would be passed over is refused. @throws {HostError} */
function checkMeant(form: FileForm, { paths, seconds, windows }: FromOrder): void {
  const areEvents = form === 'trace-text' || form === 'perf-script';
  if (areEvents && seconds !== null)
    throw new HostError('unreadable', `${paths[0]} is ${form}: its events tell their times`, {
      next: 'Leave out --interval, which is of copies.',
    });
  if (!areEvents && windows !== null)
    throw new HostError('unreadable', `${paths[0]} is ${form}: each copy ends a window`, {
      next: 'Leave out --windows, which is of events.',
    });
}
