// The frame around every page of a signed-in user: brand, navigation, the user, theme, sign-out.
import { Dialog } from "@base-ui/react/dialog";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { Link, Navigate, NavLink, Outlet, useLocation } from "react-router";
import { Button, IconButton } from "./parts/button.tsx";
import { SuspensionBanner } from "./parts/emergency.tsx";
import { FailureBoundary } from "./parts/failure.tsx";
import { Icon, type IconName } from "./parts/icon.tsx";
import { OfflineNote } from "./parts/offline.tsx";
import { useSay } from "./parts/toasts.tsx";
import { PATHS } from "./paths.ts";
import { may, type Permission } from "./roles.ts";
import { useCall, useMe, useRememberMe } from "./session.tsx";
import { setTheme, THEMES, useTheme } from "./theme.ts";

const NAVIGATION: readonly (readonly [
  path: string,
  text: string,
  icon: IconName,
  permission: Permission,
])[] = [
  [PATHS.overview, "Overview", "overview", "viewer"],
  [PATHS.secrets, "Secrets", "secrets", "viewer"],
  [PATHS.agents, "Agents", "agents", "viewer"],
  [PATHS.activity, "Activity", "activity", "viewer"],
  [PATHS.audit, "Audit", "audit", "audit"],
  [PATHS.users, "Users", "users", "owner"],
  [PATHS.apiKeys, "API keys", "apiKeys", "owner"],
  [PATHS.profile, "Settings", "settings", "person"],
];

export function Frame() {
  const me = useMe();
  const { pathname } = useLocation();
  if (pathname === PATHS.overview && !may(me, "viewer"))
    return <Navigate to={PATHS.audit} replace />;
  return (
    <div className="frame">
      <a className="skip" href="#content">
        Skip to the content
      </a>
      <header className="topbar">
        <Drawer key={pathname} />
        <Brand />
      </header>
      <header className="sidebar">
        <Brand />
        <Navigation />
        <Person />
      </header>
      <main id="content" tabIndex={-1} className="content">
        <OfflineNote />
        <FailureBoundary key={pathname}>
          <Outlet />
        </FailureBoundary>
      </main>
      <SuspensionBanner />
    </div>
  );
}

export function Brand() {
  return (
    <Link to={PATHS.overview} className="brand">
      <span className="brand-mark" aria-hidden="true">
        <Icon name="chevron" size={16} />
      </span>
      x3sproxy
    </Link>
  );
}

function Navigation() {
  const me = useMe();
  return (
    <nav aria-label="Main" className="navigation">
      <ul>
        {NAVIGATION.filter(([, , , permission]) => may(me, permission)).map(
          ([path, text, icon]) => (
            <li key={path}>
              <NavLink to={path} end={path === PATHS.overview}>
                <Icon name={icon} />
                {text}
              </NavLink>
            </li>
          ),
        )}
      </ul>
    </nav>
  );
}

/** The signed-in user and the workspace. */
function Person() {
  const me = useMe();
  const call = useCall();
  const rememberMe = useRememberMe();
  const say = useSay();
  const signOut = useMutation({
    mutationFn: () => call("POST /sign-out"),
    onSuccess: () => rememberMe(null),
    onError: () => say("Not signed out", { text: "The service did not answer.", bad: true }),
  });
  return (
    <div className="person">
      <p className="person-name" title={me.name}>
        {me.name}
      </p>
      <p className="person-role">
        {me.role}
        {me.agents !== null && `, limited to ${me.agents.length} agents`} · {me.workspace.name}
      </p>
      <div className="person-actions">
        <Button small onClick={() => signOut.mutate()} busy={signOut.isPending}>
          Sign out
        </Button>
        <ThemeButton />
      </div>
    </div>
  );
}

export function ThemeButton() {
  const theme = useTheme();
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "system";
  const icon = { system: "screen", light: "sun", dark: "moon" } as const;
  return (
    <IconButton
      small
      label={`Theme: ${theme}. Change to ${next}`}
      title={`Theme: ${theme}`}
      onClick={() => setTheme(next)}
    >
      <Icon name={icon[theme]} />
    </IconButton>
  );
}

/** The navigation on a narrow screen. It closes when the page changes. */
function Drawer() {
  const [open, setOpen] = useState(false);
  return (
    <Dialog.Root open={open} onOpenChange={setOpen}>
      <Dialog.Trigger className="button quiet icon-button" aria-label="Open the navigation">
        <Icon name="menu" size={22} />
      </Dialog.Trigger>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="drawer">
          <Dialog.Title className="unseen">Navigation</Dialog.Title>
          <div className="drawer-head">
            <Brand />
            <Dialog.Close className="button quiet icon-button" aria-label="Close the navigation">
              <Icon name="close" />
            </Dialog.Close>
          </div>
          <Navigation />
          <Person />
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
