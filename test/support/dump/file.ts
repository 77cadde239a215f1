import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A directory for the dumps of one test, which `dispose` removes. */
export class DumpDirectory {
  readonly path = mkdtempSync(join(tmpdir(), 'kdump-mem-'));

  write(name: string, bytes: Uint8Array | string): string {
    const path = join(this.path, name);
    writeFileSync(path, bytes);
    return path;
  }

  dispose(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** A page that identifies its position: each 8 bytes contain `seed` and the position; the last quarter is zeros. */
export function pageOf(seed: number, size = 4096): Uint8Array {
  const page = new Uint32Array(size / 4);
  for (let i = 0; i < page.length * 0.75; i++) page[i] = i % 2 === 0 ? seed : i;
  return new Uint8Array(page.buffer);
}
