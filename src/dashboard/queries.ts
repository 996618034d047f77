// What pages load, by resource: one hook each. A list is read page by page and shown as one.
import {
  keepPreviousData,
  useInfiniteQuery,
  useQuery,
  useQueryClient,
} from "@tanstack/react-query";
import { read, type Overview, type Page, type Read } from "./answers.ts";
import { agentPath } from "./paths.ts";
import { usePresence } from "./presence.ts";
import { useCall } from "./session.tsx";

const REFRESH_MS = 30_000;
/** While somebody waits for their first call. */
const FIRST_STEPS_MS = 2_000;
/** The longest page that the API gives. */
const MOST_ROWS = "200";

/** How often to load anew, in ms; not at all while nobody is there. */
function useRefreshInterval(): number | false {
  return usePresence() ? REFRESH_MS : false;
}

export interface Rows<T> {
  readonly rows: readonly T[];
  /** How many there are in all; null where that is not counted. */
  readonly total: number | null;
  readonly loading: boolean;
  readonly error: Error | null;
  readonly retry: () => void;
  /** Loads the next ones; undefined when there are none. */
  readonly more: (() => void) | undefined;
  readonly loadingMore: boolean;
}

/** A list that is there already. */
export const listOf = <T>(rows: readonly T[]): Rows<T> => ({
  ...{ rows, total: null, loading: false, error: null, more: undefined, loadingMore: false },
  retry: () => undefined,
});

interface ListOptions {
  readonly params?: Readonly<Record<string, string>>;
  readonly enabled?: boolean;
  readonly refresh?: boolean;
  /** All of it at once, for what has to be right about all. */
  readonly whole?: boolean;
  /** While a search is under way, what the one before found. */
  readonly search?: boolean;
}

function useRows<T, P extends Page<T> = Page<T>>(
  key: string,
  path: string,
  answer: Read<P & Page<T>>,
  o: ListOptions = {},
): Rows<T> & { readonly first: P | undefined } {
  const call = useCall();
  const interval = useRefreshInterval();
  const query = useInfiniteQuery({
    queryKey: [key, path, o.params ?? {}, o.whole ?? false],
    enabled: o.enabled ?? true,
    initialPageParam: "",
    queryFn: async ({ pageParam, signal }) => {
      const items: T[] = [];
      let total: number | null = null;
      for (let cursor = pageParam; ;) {
        const params = new URLSearchParams(o.params);
        if (o.whole === true) params.set("limit", MOST_ROWS);
        if (cursor !== "") params.set("cursor", cursor);
        const query = params.size === 0 ? "" : `?${params.toString()}`;
        const page = await call(answer, "GET", path + query, { signal });
        items.push(...page.items);
        total ??= page.total;
        // A search that has found nothing yet goes on.
        const enough = o.whole !== true && items.length > 0;
        if (enough || page.nextCursor === null) return { ...page, items, total };
        cursor = page.nextCursor;
      }
    },
    getNextPageParam: ({ nextCursor }) => nextCursor,
    refetchInterval: o.refresh === true ? interval : false,
    ...(o.search === true && { placeholderData: keepPreviousData }),
  });
  return {
    first: query.data?.pages[0],
    rows: query.data?.pages.flatMap((page) => page.items) ?? [],
    total: query.data?.pages[0]?.total ?? null,
    loading: query.isPending,
    error: query.error,
    retry: () => void query.refetch(),
    more: query.hasNextPage ? () => void query.fetchNextPage() : undefined,
    loadingMore: query.isFetchingNextPage,
  };
}

/** `query`: what they have in their name or the like; empty: all. */
const searchFor = (query: string) => ({ params: query === "" ? {} : { query }, search: true });

export const useSecrets = (query = "") =>
  useRows("secrets", "/secrets", read.secrets, { refresh: true, ...searchFor(query) });
/** The key of a provider in an environment, as a list of one or none; of none where the provider is empty. */
export const useSecretsAt = (provider: string, environment: string) =>
  useRows("secrets", "/secrets", read.secrets, {
    params: { provider, environment },
    enabled: provider !== "",
  });
export const useAgents = (query = "") =>
  useRows("agents", "/agents", read.agents, { refresh: true, ...searchFor(query) });

/** Those that all of `which` holds of. */
interface AgentFilter {
  readonly environment?: string;
  readonly mayUse?: string;
  readonly used?: string;
}

/** All of them, however many pages that is. */
export const useAllAgents = (which: AgentFilter = {}, enabled = true) =>
  useRows("agents", "/agents", read.agents, { params: { ...which }, whole: true, enabled });
/** Of them the first alone, and how many there are. */
export const useAgentCount = () =>
  useRows("agents", "/agents", read.agents, { params: { limit: "1" } });
export const useProviders = () => useRows("providers", "/providers", read.providers);
export const useRegistrations = (agent: string) =>
  useRows("agents", `${agentPath(agent)}/registrations`, read.registrations, { refresh: true });
export const useScopeTemplates = () =>
  useRows("scope-templates", "/scope-templates", read.scopeTemplates);
export const useUsers = () => useRows("users", "/users", read.users);
export const useInvitations = () => useRows("invitations", "/invitations", read.invitations);
export const useApiKeys = () => useRows("api-keys", "/api-keys", read.apiKeys);
export const useWorkspaces = () => useRows("workspaces", "/workspaces", read.workspaces);
export const useEnvironments = () => useRows("environments", "/environments", read.environments);
export const useSessions = () => useRows("sessions", "/me/sessions", read.sessions);
export const useVersions = (id: string) =>
  useRows("secrets", `/secrets/${encodeURIComponent(id)}/versions`, read.versions);
export const useUse = (id: string) =>
  useRows("secrets", `/secrets/${encodeURIComponent(id)}/use`, read.use, {
    refresh: true,
    whole: true,
  });
export const useActivity = (params: Readonly<Record<string, string>>) =>
  useRows("activity", "/activity", read.activity, { params, refresh: true });
export const useAudit = (params: Readonly<Record<string, string>>) =>
  useRows("audit", "/audit", read.events, { params });

export const useContexts = (params: Readonly<Record<string, string>>) =>
  useRows("contexts", "/contexts", read.contexts, { params });

export function useOverview(hours: 24 | 168) {
  const call = useCall();
  const interval = useRefreshInterval();
  return useQuery({
    queryKey: ["overview", hours],
    queryFn: ({ signal }) => call(read.overview, "GET", `/overview?hours=${hours}`, { signal }),
    refetchInterval: ({ state: { data } }) =>
      interval !== false && data !== undefined && areOpen(data.firstSteps)
        ? FIRST_STEPS_MS
        : interval,
    placeholderData: (before) => before,
  });
}

export function useSecret(id: string) {
  const call = useCall();
  const refetchInterval = useRefreshInterval();
  return useQuery({
    queryKey: ["secrets", id],
    queryFn: ({ signal }) =>
      call(read.wholeSecret, "GET", `/secrets/${encodeURIComponent(id)}`, { signal }),
    refetchInterval,
  });
}

/** Whether some of the first steps are still to be done. */
export function areOpen(steps: Overview["firstSteps"]): boolean {
  return steps !== null && !(steps.key && steps.agent && steps.call);
}

export function useAgent(name: string) {
  const call = useCall();
  const refetchInterval = useRefreshInterval();
  return useQuery({
    queryKey: ["agents", name],
    queryFn: ({ signal }) =>
      call(read.agent, "GET", `/agents/${encodeURIComponent(name)}`, { signal }),
    refetchInterval,
  });
}

export function useWorkspace(enabled = true) {
  const call = useCall();
  const refetchInterval = useRefreshInterval();
  return useQuery({
    queryKey: ["workspace"],
    enabled,
    queryFn: ({ signal }) => call(read.workspace, "GET", "/workspace", { signal }),
    refetchInterval,
  });
}

/** What new agents get. Below the workspace's key, so that it is loaded anew with it. */
export function useNewAgents() {
  const call = useCall();
  return useQuery({
    queryKey: ["workspace", "new-agents"],
    queryFn: ({ signal }) => call(read.newAgents, "GET", "/workspace/new-agents", { signal }),
  });
}

/** Names of things that were loaded and have changed. */
export type Resource =
  | "secrets"
  | "agents"
  | "providers"
  | "users"
  | "invitations"
  | "api-keys"
  | "sessions"
  | "workspace"
  | "workspaces"
  | "environments"
  | "audit";

/** Loads anew what has changed, and the overview, which counts all of it. */
export function useRefresh(): (...changed: Resource[]) => Promise<void> {
  const client = useQueryClient();
  return async (...changed) => {
    await Promise.all(
      [...changed, "overview"].map((key) => client.invalidateQueries({ queryKey: [key] })),
    );
  };
}
