/** Scans that find holders: the first two each minute, the others when their category grows. */
export const HOLDER_SCANS = ['processes', 'caches', 'files', 'pipes', 'sockets'] as const;
export type HolderScan = (typeof HOLDER_SCANS)[number];
