import { memoryJson } from '../report/memory/json.js';
import { lookCaptured } from './memory-captured.js';

/**
 * Asks a capture what it knows of a host.
 *
 * @throws {HostError} it cannot be read
 */
export async function askCapture(path: string): Promise<unknown[]> {
  return [memoryJson(await lookCaptured(path))];
}
