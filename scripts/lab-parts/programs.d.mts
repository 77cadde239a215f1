// Types of programs.mjs, for tests.
import type { GuestOptions } from './guest.mjs';

type GuestFiles = NonNullable<GuestOptions['files']>;

/** A program of the lab's tools (`usr/bin/crash`), with its libraries, as /bin/NAME. */
export declare function toolProgram(path: string, kernel?: string): GuestFiles;

/** A program of this machine (node, ss, …), with its libraries, at the path that it has here. */
export declare function machineProgram(path: string): GuestFiles;

/** A folder with all that is in it. */
export declare function folder(from: string, path: string, wanted?: (file: string) => boolean): GuestFiles;
