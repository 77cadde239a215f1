import type { CaptureOrigin, Origin } from '../records/machine-sample.js';
import type { CapturedJson, OriginJson } from './schema.js';
import { escapeText } from './text/escape.js';

/**
 * Returns the origin of an answer as JSON. This file loads no schema, so that commands that print text start
 * faster.
 */
export function originJson(origin: Origin | undefined): OriginJson {
  if (!origin) return null;
  const { at, host, bootId, uptime } = origin;
  return { at: at?.toISOString() ?? null, host, bootId, uptimeSeconds: uptime };
}

export function capturedJson(captured: CaptureOrigin | undefined): CapturedJson {
  if (!captured) return null;
  const { name, taken } = captured;
  return { host: name ?? null, takenAt: taken?.toISOString() ?? null };
}

/** Returns `captured on HOST at TIME`, with a time such as 2026-01-02 03:04:05 UTC. */
export function capturedWords({ name, taken }: CaptureOrigin): string {
  const host = name === undefined ? '' : ` on ${escapeText(name)}`;
  return `captured${host}${taken ? ` at ${taken.toISOString().slice(0, 19).replace('T', ' ')} UTC` : ' at an unknown time'}`;
}
