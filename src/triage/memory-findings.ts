import type { MemoryAnswer } from '../account/memory/answer.js';
import { leaves } from '../account/memory/leaves.js';
import type { Finding } from './finding.js';
import { queuedData } from './queued-data.js';
import { severityOf } from './severity-of.js';

/** Findings of the memory breakdown and the sockets. */
export function memoryFindings(answer: MemoryAnswer): Finding[] {
  const pageSize = answer.kernel?.pageSize ?? answer.host?.pageSize ?? 0;
  const { census, memory } = answer;
  const waiting = census ? queuedData(census, memory.bytes) : [];
  return [...waiting, ...unattributed(answer), ...shortZones(answer, pageSize)];
}

function* unattributed({ memory, loose, freeConflict }: MemoryAnswer): Generator<Finding> {
  const category = leaves(memory).find((one) => one.category === 'unattributed');
  const severity = severityOf(category?.bytes ?? 0, memory.bytes);
  // Free memory may be among it.
  if (category === undefined || severity === undefined || freeConflict) return;
  const [most] = (loose?.sizes ?? []).toSorted((a, b) => b.frames - a.frames);
  yield {
    code: 'unattributed-memory',
    severity,
    figures: {
      bytes: category.bytes,
      share: category.bytes / memory.bytes,
      mostOrder: most?.order ?? null,
      mostBlocks: most?.blocks ?? null,
    },
    evidence: [],
    next: 'memory -v',
  };
}

/** Zones whose free blocks are fewer than what the kernel keeps for itself. */
function* shortZones({ zones }: MemoryAnswer, pageSize: number): Generator<Finding> {
  for (const { nodeId, name, freeBlocks, watermarks, managed } of zones) {
    const free = freeBlocks.reduce((sum, blocks, order) => sum + blocks * 2 ** order, 0);
    if (watermarks === null || managed === 0 || free >= watermarks.min) continue;
    yield {
      code: 'low-memory',
      severity: 'warning',
      figures: {
        node: nodeId,
        zone: name,
        freeBytes: free * pageSize,
        minBytes: watermarks.min * pageSize,
      },
      evidence: [],
      next: 'memory --nodes',
    };
  }
}
