import type { MemoryAnswer } from '../account/memory/answer.js';
import { leaves } from '../account/memory/leaves.js';
import type { CensusAnswer } from '../account/sockets.js';
import { hex } from '../kernel/hex.js';
import type { Finding } from './finding.js';

/** From these parts of the machine's memory on something is told, and is severe. */
const TOLD = 0.05;
const SEVERE = 0.25;

/** Less than this is nobody's trouble, on however small a machine. */
const LEAST_BYTES = 32 * 2 ** 20;

/** What the ledger and the census of a machine tell that somebody should know of. */
export function memoryFindings(answer: MemoryAnswer): Finding[] {
  const pageSize = answer.kernel?.pageSize ?? answer.host?.pageSize ?? 0;
  const { census, memory } = answer;
  const waiting = census ? waitingData(census, memory.bytes) : [];
  return [...waiting, ...unexplained(answer), ...shortZones(answer, pageSize)];
}

function severityOf(bytes: number, whole: number): Finding['severity'] | undefined {
  if (bytes < LEAST_BYTES || bytes < TOLD * whole) return undefined;
  return bytes >= SEVERE * whole ? 'critical' : 'warning';
}

/**
 * Sockets that hold a notable part of the memory.
 *
 * @param memory bytes that the machine has
 */
export function waitingData({ sockets }: CensusAnswer, memory: number): Finding[] {
  const found: Finding[] = [];
  for (const { socket, holders, total, queues } of sockets) {
    const severity = severityOf(total.pinnedBytes, memory);
    // They come with those that hold most first.
    if (severity === undefined) break;
    const [holder] = holders;
    const [queue] = Object.entries(queues).toSorted(
      ([, a], [, b]) => b.pinnedBytes - a.pinnedBytes,
    );
    found.push({
      code: 'waiting-data',
      severity,
      figures: {
        pinnedBytes: total.pinnedBytes,
        payloadBytes: total.payloadBytes,
        skbs: total.skbs,
        share: total.pinnedBytes / memory,
        queue: queue?.[0] ?? null,
        sock: hex(socket.sock),
        family: socket.family,
        protocol: socket.protocol,
        pid: holder?.pid ?? null,
        comm: holder?.comm ?? null,
        fd: holder?.fd ?? null,
      },
      evidence: [],
      deeper: `skb --sock ${hex(socket.sock)}`,
    });
  }
  return found;
}

function* unexplained({ memory, loose }: MemoryAnswer): Generator<Finding> {
  const drawer = leaves(memory).find((one) => one.drawer === 'unexplained');
  const severity = severityOf(drawer?.bytes ?? 0, memory.bytes);
  if (drawer === undefined || severity === undefined) return;
  const [most] = (loose?.sizes ?? []).toSorted((a, b) => b.frames - a.frames);
  yield {
    code: 'unexplained-memory',
    severity,
    figures: {
      bytes: drawer.bytes,
      share: drawer.bytes / memory.bytes,
      mostOrder: most?.order ?? null,
      mostBlocks: most?.blocks ?? null,
    },
    evidence: [],
    deeper: 'memory -v',
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
        ...{ node: nodeId, zone: name },
        freeBytes: free * pageSize,
        minBytes: watermarks.min * pageSize,
      },
      evidence: [],
      deeper: 'memory --nodes',
    };
  }
}
