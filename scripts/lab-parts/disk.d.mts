// Types of disk.mjs, for tests.

/** Makes an ext4 image, with the files of a folder if one is given. */
export declare function makeDisk(image: string, mebibytes: number, from?: string, journal?: boolean): void;

/** Copies a file of the image's root to this machine. */
export declare function readFromDisk(image: string, file: string, to: string): void;

/** Copies a folder to this machine, with owners and times, as the next boot finds it. */
export declare function folderFromDisk(image: string, folder: string, into: string): void;
