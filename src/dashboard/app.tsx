// The routes: which page is at which path.
import { Outlet, Route, Routes } from "react-router";
import { Frame } from "./frame.tsx";
import { ActivityPage } from "./pages/activity.tsx";
import { AgentPage } from "./pages/agent.tsx";
import { AgentScopePage } from "./pages/agent-scope.tsx";
import { AgentsPage } from "./pages/agents.tsx";
import { ApiKeysPage } from "./pages/api-keys.tsx";
import { AuditPage } from "./pages/audit.tsx";
import { ContextsPage } from "./pages/contexts.tsx";
import { EnrolmentPage } from "./pages/enrolment.tsx";
import { LinkPage } from "./pages/link.tsx";
import { NewAgentsPage } from "./pages/new-agents.tsx";
import { NotAllowedPage, NotFoundPage } from "./pages/not-found.tsx";
import { OverviewPage } from "./pages/overview.tsx";
import { ProfilePage } from "./pages/profile.tsx";
import { ProvidersPage } from "./pages/providers.tsx";
import { SecretPage } from "./pages/secret.tsx";
import { SecretsPage } from "./pages/secrets.tsx";
import { SignInPage } from "./pages/sign-in.tsx";
import { UsersPage } from "./pages/users.tsx";
import { WorkspacePage } from "./pages/workspace.tsx";
import { WorkspacesPage } from "./pages/workspaces.tsx";
import { PATHS } from "./paths.ts";
import type { Permission } from "./roles.ts";
import { SignedIn, useMay } from "./session.tsx";

export function App() {
  return (
    <Routes>
      <Route path={PATHS.signIn} element={<SignInPage />} />
      <Route path={PATHS.setup} element={<LinkPage kind="setup" />} />
      <Route path={PATHS.invitation} element={<LinkPage kind="invitation" />} />
      <Route path={PATHS.reset} element={<LinkPage kind="reset" />} />
      <Route
        path={PATHS.enrolment}
        element={
          <SignedIn enrolling>
            <EnrolmentPage />
          </SignedIn>
        }
      />
      <Route
        element={
          <SignedIn>
            <Frame />
          </SignedIn>
        }
      >
        <Route path={PATHS.profile} element={<ProfilePage />} />
        <Route element={<Only permission="viewer" />}>
          <Route path={PATHS.overview} element={<OverviewPage />} />
          <Route path={PATHS.secrets} element={<SecretsPage />} />
          <Route path={PATHS.secret} element={<SecretPage />} />
          <Route path={PATHS.agents} element={<AgentsPage />} />
          <Route path={PATHS.agent} element={<AgentPage />} />
          <Route path={PATHS.agentScope} element={<AgentScopePage />} />
          <Route path={PATHS.activity} element={<ActivityPage />} />
        </Route>
        <Route element={<Only permission="audit" />}>
          <Route path={PATHS.audit} element={<AuditPage />} />
          <Route path={PATHS.contexts} element={<ContextsPage />} />
        </Route>
        <Route element={<Only permission="admin" />}>
          <Route path={PATHS.providers} element={<ProvidersPage />} />
          <Route path={PATHS.workspace} element={<WorkspacePage />} />
          <Route path={PATHS.newAgents} element={<NewAgentsPage />} />
        </Route>
        <Route element={<Only permission="owner" />}>
          <Route path={PATHS.users} element={<UsersPage />} />
          <Route path={PATHS.apiKeys} element={<ApiKeysPage />} />
          <Route path={PATHS.workspaces} element={<WorkspacesPage />} />
        </Route>
        <Route path="*" element={<NotFoundPage />} />
      </Route>
    </Routes>
  );
}

/** Hides a page from users who could do nothing on it. The API decides by itself. */
function Only({ permission }: { permission: Permission }) {
  return useMay(permission) ? <Outlet /> : <NotAllowedPage />;
}
