/** A JSON Schema as zod writes it, with the keywords that it uses. */
export interface JsonSchema {
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, JsonSchema>>;
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly allOf?: readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  /** The known codes, to which others may be added. */
  readonly examples?: readonly unknown[];
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | JsonSchema;
  readonly items?: JsonSchema;
  readonly prefixItems?: readonly JsonSchema[];
  readonly [keyword: string]: unknown;
}

/** Bounds of a value: a reader may rely on them, so they must not be loosened. */
const BOUNDS = [
  'format',
  'pattern',
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'minItems',
  'maxItems',
  'minLength',
  'maxLength',
  'enum',
] as const;

/**
 * The constraints of a published schema that no longer hold for the current output, in words with the path; empty if
 * a reader of the old schema can read the new answers.
 */
export function brokenPromises(old: JsonSchema, now: JsonSchema): string[] {
  return new Comparison(old, now).compare(old, now, '$');
}

class Comparison {
  readonly #seen = new Set<string>();

  constructor(
    readonly oldRoot: JsonSchema,
    readonly newRoot: JsonSchema,
  ) {}

  compare(before: JsonSchema, after: JsonSchema, path: string): string[] {
    if (before.$ref !== undefined || after.$ref !== undefined) {
      const pair = `${before.$ref ?? path} ${after.$ref ?? path}`;
      if (this.#seen.has(pair)) return [];
      this.#seen.add(pair);
    }
    const old = resolved(before, this.oldRoot);
    const now = resolved(after, this.newRoot);
    const alternatives = now.anyOf ?? now.oneOf;
    if (alternatives) return alternatives.flatMap((each) => this.compare(old, each, path));
    const choices = old.anyOf ?? old.oneOf;
    if (choices) {
      const tries = choices.map((each) => this.compare(each, now, path));
      return tries.reduce((best, each) => (each.length < best.length ? each : best));
    }
    return [...changedValue(old, now, path), ...this.#properties(old, now, path), ...this.#elements(old, now, path)];
  }

  #properties(old: JsonSchema, now: JsonSchema, path: string): string[] {
    const broken: string[] = [];
    for (const [name, before] of Object.entries(old.properties ?? {})) {
      const after = now.properties?.[name];
      const at = `${path}.${name}`;
      if (!after) broken.push(`${at} is gone`);
      else broken.push(...this.compare(before, after, at));
      if (after && old.required?.includes(name) && !now.required?.includes(name)) broken.push(`${at} may be absent`);
    }
    const [before, after] = [old.additionalProperties, now.additionalProperties];
    if (typeof before === 'object')
      broken.push(
        ...(typeof after === 'object' ? this.compare(before, after, `${path}.*`) : [`${path}.* is of no kind`]),
      );
    return broken;
  }

  #elements(old: JsonSchema, now: JsonSchema, path: string): string[] {
    const at = `${path}[]`;
    const broken = (old.prefixItems ?? []).flatMap((before, index) => {
      const after = now.prefixItems?.[index];
      return after ? this.compare(before, after, at) : [`${at} is gone`];
    });
    if (!old.items) return broken;
    return [...broken, ...(now.items ? this.compare(old.items, now.items, at) : [`${at} is gone`])];
  }
}

function changedValue(old: JsonSchema, now: JsonSchema, path: string): string[] {
  const known = typesOf(old);
  const more = typesOf(now).filter(
    (type) => !known.includes(type) && !(type === 'integer' && known.includes('number')),
  );
  if (known.length > 0 && (more.length > 0 || typesOf(now).length === 0)) return [`${path} was ${known.join(' or ')}`];
  if (old.const !== undefined && old.const !== now.const) return [`${path} was ${old.const}`];
  const gone = (old.examples ?? []).filter((code) => !codesOf(now).includes(code));
  const loosened = BOUNDS.filter((bound) => old[bound] !== undefined && `${old[bound]}` !== `${now[bound]}`);
  return [
    ...(gone.length > 0 ? [`${path} may be ${gone.join(' or ')} no more`] : []),
    ...loosened.map((bound) => `${path} had ${bound} ${old[bound]}`),
  ];
}

function codesOf({ examples, const: only }: JsonSchema): readonly unknown[] {
  return examples ?? (only === undefined ? [] : [only]);
}

function typesOf({ type }: JsonSchema): readonly string[] {
  return type === undefined ? [] : typeof type === 'string' ? [type] : type;
}

function resolved(schema: JsonSchema, root: JsonSchema): JsonSchema {
  const { $ref } = schema;
  if ($ref === undefined) return schema;
  if ($ref === '#') return root;
  const found = root.$defs?.[$ref.replace('#/$defs/', '')];
  if (!found) throw new Error(`${$ref} leads nowhere`);
  return resolved(found, root);
}
