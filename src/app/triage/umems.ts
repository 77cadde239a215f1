import { isHostError } from '../../base/errors.js';
import { findNamespaces } from '../../host/namespaces.js';
import { DescriptorScan } from '../../host/proc/holders.js';
import { eachRareRow } from '../../host/unlisted-sockets.js';
import type { Finding } from '../../triage/finding.js';
import { commIn } from '../../triage/host-processes.js';
import type { HostReader } from '../../triage/host-reader.js';

/** A row of `ss -e -A xdp`, which needs the kernel's xsk_diag. With -O it is `tumem` (xdp_show_umem, misc/ss.c). */
const ROW = /^xdp .* ino:(\d{1,15}) .*\bt?umem\(id:(\d{1,10}),size:(\d{1,15}),/;

/** Adds the process with most memory registered with AF_XDP to a finding of pins that no process counts. */
export async function withUmems(host: HostReader, findings: readonly Finding[]): Promise<readonly Finding[]> {
  const isOfNone = ({ code, figures }: Finding) => code === 'pinned-pages' && figures.uncounted && figures.pid === null;
  if (!findings.some(isOfNone)) return findings;
  const owner = await largestUmems(host);
  return findings.map((finding) =>
    owner && isOfNone(finding) ? { ...finding, figures: { ...finding.figures, ...owner } } : finding,
  );
}

async function largestUmems(host: HostReader) {
  /** Sockets may share one. */
  const umems = new Map<number, { readonly id: string; readonly bytes: number }>();
  try {
    for (const namespace of findNamespaces(host.source, 'all'))
      await eachRareRow(host.source, namespace, (row) => {
        const [, inode, id = '', size] = ROW.exec(row) ?? [];
        if (inode !== undefined) umems.set(Number(inode), { id, bytes: Number(size) });
      });
  } catch (error) {
    // The finding stays without a process: which one has most is unknown.
    if (!isHostError(error)) throw error;
    return undefined;
  }
  if (umems.size === 0) return undefined;
  const scan = new DescriptorScan(host.source);
  await scan.run();
  const held = new Map<number, Map<string, number>>();
  for (const [inode, holders] of scan.holdersOf(new Set(umems.keys())).byInode)
    for (const { pid } of holders) {
      const { id, bytes } = umems.get(inode)!;
      held.set(pid, (held.get(pid) ?? new Map<string, number>()).set(id, bytes));
    }
  const [most] = [...held]
    .map(([pid, own]) => ({ pid, registeredBytes: [...own.values()].reduce((sum, bytes) => sum + bytes, 0) }))
    .toSorted((a, b) => b.registeredBytes - a.registeredBytes);
  return most && { ...most, comm: commIn(host)(most.pid), kinds: 'AF_XDP' };
}
