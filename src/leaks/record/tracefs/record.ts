import { TraceError } from '../../../base/errors.js';
import type { Recording } from '../../recording.js';
import { removeOrphans, TraceInstances } from './instances.js';
import { findTracefs } from './root.js';
import { TraceSession } from './session.js';
import type { TraceOrder } from './trace-order.js';

/**
 * Records allocations and frees through private tracefs instances, which are removed in any case.
 *
 * @throws {TraceError} `trace-no-root`, `trace-not-mounted`, `trace-locked-down`, `trace-unsupported`,
 * `trace-over-budget`, `trace-failed`
 */
export async function recordTraced(order: TraceOrder): Promise<Recording> {
  const { type } = order;
  if (type === 'vmalloc')
    throw new TraceError('trace-unsupported', 'vmalloc areas have no trace events', {
      next: 'Use --method vmallocinfo',
    });
  const root = findTracefs();
  const removed = removeOrphans(root);
  const instances = new TraceInstances(root);
  let recording: Recording;
  try {
    recording = await new TraceSession(order, type, instances).run();
  } finally {
    instances.removeAll();
  }
  const { left } = instances;
  const tracing = recording.tracing && { ...recording.tracing, orphans: removed, left };
  return { ...recording, ...(tracing ? { tracing } : {}) };
}
