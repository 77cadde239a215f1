import { existsSync } from 'node:fs';
import { TraceError } from '../../../base/errors.js';
import { EVENTS, noEvent, type TracedType } from './kinds.js';
import { findTracefs } from './root.js';

/**
 * Why events of an allocation type cannot be followed here, as a recording would report it; null if they can.
 */
export function tracefsRefusal(type: TracedType): TraceError | null {
  try {
    const root = findTracefs();
    const { allocations, frees } = EVENTS[type];
    const missing = [...allocations, ...frees].find(
      ({ system, name, needed }) => needed && !existsSync(`${root}/events/${system}/${name}`),
    );
    return missing ? noEvent(missing) : null;
  } catch (error) {
    if (error instanceof TraceError) return error;
    throw error;
  }
}
