import { createHash } from 'node:crypto';
import fs from 'node:fs';

/** Which file it is, by what is in it. */
export interface FileIdentity {
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** @throws what reading a file throws */
export async function identityOf(file: string): Promise<FileIdentity> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const piece of fs.createReadStream(file)) {
    hash.update(piece as Buffer);
    sizeBytes += (piece as Buffer).length;
  }
  return { sizeBytes, sha256: hash.digest('hex') };
}
