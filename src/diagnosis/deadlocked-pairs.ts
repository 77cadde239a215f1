import type { Observation } from '../host/observation.js';
import { OtherEnds } from '../host/pairs.js';
import type { Finding } from './finding.js';

/** Makes a deadlocked pair of two stalled readers that are each other's peers and both have sent. */
export function markDeadlockedPairs(observation: Observation, findings: Finding[]): void {
  const { last } = observation;
  if (!last) return;
  const stalled = findings.filter((each) => each.verdict.verdict === 'stalled-reader');
  const bySocket = new Map(stalled.map((each) => [each.socket, each] as const));
  const ends = new OtherEnds(stalled.map((each) => each.socket));
  for (const [index, finding] of findings.entries()) {
    if (!bySocket.has(finding.socket)) continue;
    const other = ends.of(finding.socket);
    const peer = other && bySocket.get(other);
    if (!peer) continue;
    const tcp = finding.socket.protocol === 'TCP';
    const stuck = (each: Finding) => each.also.some(({ verdict }) => verdict === 'stalled-sender');
    if (tcp && !(stuck(finding) && stuck(peer))) continue;
    const waited = [finding.verdict.waitedMs, peer.verdict.waitedMs];
    findings[index] = {
      ...finding,
      verdict: {
        verdict: 'deadlocked-pair',
        certainty: tcp ? finding.verdict.certainty : 'likely',
        waitedMs: waited.includes(null) ? null : Math.min(...waited.map((each) => each ?? 0)),
        evidence: {
          kind: 'waits-for-each-other',
          peerInode: peer.socket.inode,
          peerPid: peer.holders[0]?.pid ?? null,
          watchedMs: Math.max(0, last.startedMs - observation.first.endedMs),
        },
      },
      also: [finding.verdict, ...finding.also],
    };
  }
}
