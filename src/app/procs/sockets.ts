import type { HostSource } from '../../host/host-source.js';

/** What ss tells of sockets, which skcheck's estimate is made of. */
export async function seenSockets(source: HostSource, captured: boolean) {
  const { socketsOfProcesses } = await import('../../skcheck/sockets-of-processes.js');
  return socketsOfProcesses(source, captured || process.geteuid?.() === 0);
}
