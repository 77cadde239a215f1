/** Where tracefs is mounted; the kernel itself mounts the second one in debugfs. */
export const TRACEFS_PLACES = ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'] as const;
