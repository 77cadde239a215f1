import type { CaptureOrigin } from '../records/capture-origin.js';
import type { CapturedJson } from './captured-schema.js';
import { escapeText } from './text/escape.js';

export function capturedJson(captured: CaptureOrigin | undefined): CapturedJson {
  if (!captured) return null;
  const { name, taken } = captured;
  return { host: name ?? null, takenAt: taken?.toISOString() ?? null };
}

/** `captured of HOST at TIME` */
export function capturedWords({ name, taken }: CaptureOrigin): string {
  const whose = name === undefined ? '' : ` of ${escapeText(name)}`;
  return `captured${whose}${taken ? ` at ${taken.toISOString()}` : ' at an unknown time'}`;
}
