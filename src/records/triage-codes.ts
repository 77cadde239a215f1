/** Severities from high to low: a failure, a problem, a remark. */
export const SEVERITIES = ['critical', 'warning', 'note'] as const;
export type Severity = (typeof SEVERITIES)[number];

/** Reasons to link a finding to its cause: the fact that both share. */
export const CAUSE_RELATIONS = [
  'panic-message',
  'share-of-shortfall',
  'same-process',
  'same-zone',
  'same-cgroup',
  'local-peer',
  'same-moment',
  'frees-enough',
  'idle-cpu',
  'waits-for-cpu',
  'rule',
] as const;
export type CauseRelation = (typeof CAUSE_RELATIONS)[number];

/** How well the figures support a cause. `unknown`: no finding and no counter explains the effect. */
export const CONFIDENCES = ['likely', 'possible', 'unknown'] as const;
export type Confidence = (typeof CONFIDENCES)[number];

/** Checks of a host, including its log and memory counters. Names are stable: they are part of the JSON. */
export const HOST_CHECKS = [
  'log',
  'memory',
  'watermarks',
  'available',
  'shared-memory',
  'fragmentation',
  'memory-pressure',
  'cgroups',
  'oom-kills',
  'writeback',
  'slab',
  'message-queues',
  'vmalloc',
  'processes',
  'limits',
  'inotify',
  'huge-pages',
  'named-memory',
  'counters',
  'pipes',
  'sockets',
  'cpu-steal',
  'baseline',
] as const;
export type HostCheckName = (typeof HOST_CHECKS)[number];

/** Why a rule could not be evaluated. */
export const RULE_DOUBTS = [
  'panic-unknown',
  'release-unknown',
  'taint-unreadable',
  'modules-unreadable',
  'memory-unavailable',
  'category-incomplete',
  'owners-unknown',
  'findings-folded',
  'log-incomplete',
  'answer-incomplete',
  'stacks-unreadable',
  'stacks-incomplete',
  'frame-guessed',
  'figures-unknown',
] as const;
export type RuleDoubt = (typeof RULE_DOUBTS)[number];

/** Why a file is not opened at all, beside the errors of opening a dump. */
export const SEARCH_ERROR_CODES = ['unsupported-name', 'unreadable-file', 'too-deep'] as const;
export type SearchErrorCode = (typeof SEARCH_ERROR_CODES)[number];
