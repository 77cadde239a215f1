// Types of scenario.mjs, for tests.
import type { Truth } from '../../test/support/lab.js';
import type { Guest, GuestOptions } from './guest.mjs';

/** Boots a guest, makes the scenario in it, feeds it, and waits until all is at rest. */
export declare function bootScenario(options: GuestOptions): Promise<Guest>;

/** What is true of the scenario's sockets now, as user space sees it. */
export declare function readTruth(guest: Guest): Promise<Truth>;

/** Looks until two looks agree: nothing is on its way any more. */
export declare function settledTruth(guest: Guest): Promise<Truth>;

export declare function scenarioRecipe(...more: string[]): string;
