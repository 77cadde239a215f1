import { z } from 'zod';
import type { Flaw, HostState } from '../../../diff/state.js';
import type { Origin } from '../../../records/sample-origin.js';
import { leavesComplete } from '../../../walk/warnings.js';
import { originSchema } from '../../origin-schema.js';

/** What one answer tells of a host at a time. */
export type ParsedState = Omit<HostState, 'name'>;

export const count = z.int().nonnegative();
export const bytesOrNull = count.nullable();

/** Answers of a later release may have more in any object, and those of an earlier one lack this. */
export const originPart = z.object(originSchema.unwrap().shape).nullish();

/**
 * A list that is looked at up to the first that is wrong: of millions that all are, each would have an error of
 * its own, and all memory would go to them.
 */
export function listOf<Item extends z.ZodType>(item: Item) {
  return z.array(z.unknown()).transform((values, context): z.output<Item>[] => {
    const items: z.output<Item>[] = [];
    for (const [at, value] of values.entries()) {
      const { success, data, error } = item.safeParse(value);
      if (!success) {
        const [first] = error.issues;
        const path = [at, ...(first?.path ?? [])];
        context.addIssue({ code: 'custom', path, message: first?.message ?? '' });
        return z.NEVER;
      }
      items.push(data);
    }
    return items;
  });
}

export const kernelPart = z.object({ release: z.string(), pageSize: count }).nullable();

export const warningsPart = listOf(z.object({ code: z.string().optional(), message: z.string() }));

export function originOf(told: z.infer<typeof originPart>): Origin {
  return {
    at: told?.at == null ? null : new Date(told.at),
    host: told?.host ?? null,
    bootId: told?.bootId ?? null,
    uptime: told?.uptimeSeconds ?? null,
  };
}

/** That an answer says itself that it is not whole. */
export function incompleteness(
  complete: boolean,
  warnings: z.infer<typeof warningsPart>,
  otherwise: string,
): Flaw[] {
  if (complete) return [];
  const first = warnings.find((warning) => !leavesComplete(warning)) ?? warnings[0];
  const more = warnings.length > 1 ? `, and ${warnings.length - 1} more` : '';
  return [{ code: 'incomplete', words: first ? `${first.message}${more}` : otherwise }];
}

/** Two facts of an answer that must be the same and are not. */
export function contradiction(words: string): Flaw {
  return { code: 'inconsistent', words };
}
