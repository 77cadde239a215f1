import { readFileSync } from 'node:fs';

/** Page frames that the kernel has allocated since it booted (/proc/vmstat, pgalloc_*); null: it does not tell. */
export function readAllocatedFrames(): number | null {
  let text: string;
  try {
    text = readFileSync('/proc/vmstat', 'latin1');
  } catch {
    return null;
  }
  return allocatedFrames(text);
}

/** The same of its text. */
export function allocatedFrames(text: string): number | null {
  const counts = [...text.matchAll(/^pgalloc_\w+ (\d{1,15})$/gm)].map(([, count]) => Number(count));
  return counts.length === 0 ? null : counts.reduce((sum, count) => sum + count, 0);
}
