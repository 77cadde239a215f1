import { decodeBytes } from '../../walk/struct-reader.js';

/** What kinds of names an extract has that may tell whose machine it was. */
export const NAME_KINDS = [
  'addresses',
  'paths',
  'commands',
  'cgroups',
  'interfaces',
  'hosts',
] as const;
export type NameKind = (typeof NAME_KINDS)[number];

/** A name, and what stands in its place; the same where it names nobody (127.0.0.1, lo). Hostile. */
export interface Replacement {
  readonly made: string;
  readonly real: string;
}

/** Every name that an extract has, each once a kind. */
export class Replacements {
  readonly #kinds = new Map<NameKind, Map<string, string>>(
    NAME_KINDS.map((kind) => [kind, new Map()]),
  );

  add(kind: NameKind, real: string, made: string): void {
    if (real !== '') this.#kinds.get(kind)?.set(real, made);
  }

  /** The same of names without their NUL. */
  addBytes(kind: NameKind, real: Uint8Array, made: Uint8Array): void {
    this.add(kind, decodeBytes(real), decodeBytes(made));
  }

  of(kind: NameKind): Replacement[] {
    return [...(this.#kinds.get(kind) ?? [])].map(([real, made]) => ({ made, real }));
  }
}
