import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { OracleSocket, Role, Truth } from './lab.js';

/** Kernels with a small real dump in fixtures/dumps. */
export const FIXTURES = [
  '5.10',
  '6.1',
  '6.12',
  'newest',
  // Pages of 4 KiB, and a symbol table with functions only.
  '6.1-arm64',
  // Pages of 16 KiB.
  '6.12-arm64-16k',
] as const;
export type FixtureName = (typeof FIXTURES)[number];

/** Records of the guest and of drgn about a fixture; `scripts/fixture-truth.mjs` writes them. */
export interface FixtureTruth {
  readonly release: string;
  readonly pageSize: number;
  readonly kernelThread: Truth['kernelThread'];
  readonly roles: readonly Pick<Role, 'name' | 'kind' | 'pid' | 'comm' | 'fd' | 'skbs' | 'bytes'>[];
  readonly sockets: readonly OracleSocket[];
}

const FOLDER = fileURLToPath(new URL('../../fixtures/dumps/', import.meta.url));

/** A small real dump, cut by `kdump-mem extract`; `scripts/fixtures` regenerates it. */
export function fixture(name: FixtureName): { readonly vmcore: string; readonly truth: FixtureTruth } {
  const truth = JSON.parse(readFileSync(`${FOLDER}${name}.json`, 'utf8')) as FixtureTruth;
  return { vmcore: `${FOLDER}${name}.vmcore`, truth };
}

/** Records of drgn and of the guest about the incident, in bytes; `scripts/incident-truth.mjs` writes them. */
export interface IncidentTruth {
  readonly release: string;
  /** The process that does not read. */
  readonly drgn: {
    readonly pid: number;
    readonly comm: string;
    readonly sockets: number;
    readonly skbs: number;
    readonly payloadBytes: number;
    readonly pages: number;
    readonly pinnedBytes: number;
  };
  /** Shortly before it stopped reading. */
  readonly slabBytes: number;
  readonly tcpMemBytes: number;
}

/** The incident of the README: a dump with everything that each command reads. */
export function incident(): { readonly vmcore: string; readonly truth: IncidentTruth } {
  const path = fileURLToPath(new URL('../../fixtures/incident', import.meta.url));
  const truth = JSON.parse(readFileSync(`${path}.json`, 'utf8')) as IncidentTruth;
  return { vmcore: `${path}.vmcore`, truth };
}
