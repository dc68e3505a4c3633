/** What programs get from `shellvisor/client`. */
export {
  type CreateOptions,
  type FollowCommandOptions,
  type FollowOptions,
  type ListQuery,
  type PruneOptions,
  type RerunOptions,
  Shellvisor,
  type ShellvisorOptions,
  type StopOptions,
} from './client.ts';
export { Refused, Unreachable } from './errors.ts';
export type {
  Command,
  CommandEvent,
  CommandPage,
  InspectEvent,
  ListEvent,
  NewCommand,
  Node,
  Outcome,
  Progress,
  Pruned,
  Readiness,
  SupervisorStatechart,
  Transition,
} from './types.ts';
