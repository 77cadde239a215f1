import type { SkbJson } from '../answers/schema.js';
/** Figures of one or more queues: `Q` in the JSON contract. Sizes are bytes. */
export type Figures = SkbJson['total'];
