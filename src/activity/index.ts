// What agents do, added up for people: exchanges by minute, agent and provider; which version of a key is in use by whom; what
// needs attention. Must never slow a request, nor hold anything of one but the facts of its record.
export { createRecorder, type Recorder } from "./recorder.ts";
export { createRetention, type Retention } from "./retention.ts";
export { createCallViews, type CallViews, type ContextUse } from "./call-views.ts";
export {
  createActivityViews,
  type ActivityRow,
  type ActivityViews,
  type AgentUse,
  type VersionUse,
} from "./views.ts";
export type { KeyRefusals } from "./key-refusals.ts";
export { rotationDueAt, type WorkspaceRules } from "./workspace-rules.ts";
