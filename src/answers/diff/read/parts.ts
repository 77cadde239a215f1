import { z } from 'zod';
import { inflect } from '../../../base/size.js';
import { originSchema } from '../../../contracts/common.js';
import type { Flaw, HostState } from '../../../diff/state.js';
import { leavesComplete } from '../../../walk/warnings.js';

/** Facts about a host in one sample, from one answer. */
export type ParsedState = Omit<HostState, 'name'>;

export const count = z.int().nonnegative();
export const bytesOrNull = count.nullable();

/** Origin of an answer. Later releases may add fields to any object, and earlier ones lack the origin. */
export const originPart = z
  .object(originSchema.unwrap().shape)
  .nullish()
  .transform((origin) => origin ?? { at: null, host: null, bootId: null, uptimeSeconds: null });

/**
 * List that is validated up to its first error: a separate error for each of millions of items would exhaust
 * memory.
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

/** Returns the reasons that an answer itself gives for being incomplete. */
export function incompleteness(complete: boolean, warnings: z.infer<typeof warningsPart>, otherwise: string): Flaw[] {
  if (complete) return [];
  const first = warnings.find((warning) => !leavesComplete(warning)) ?? warnings[0];
  const more =
    warnings.length > 1 ? ` (and ${warnings.length - 1} more ${inflect(warnings.length - 1, 'warning')})` : '';
  return [{ code: 'incomplete', words: first ? `${first.message}${more}` : otherwise }];
}

/** Reports two facts of an answer that contradict each other. */
export function contradiction(words: string): Flaw {
  return { code: 'inconsistent', words };
}
