// The page for a path that doesn't exist, or that the user's role doesn't include.
import { ButtonLink } from "../parts/button.tsx";
import { Page } from "../parts/page.tsx";
import { PATHS } from "../paths.ts";
import { useMe } from "../session.tsx";

export function NotFoundPage() {
  return (
    <Page title="There is nothing here" intro="The link may be old, or its end got lost.">
      <ButtonLink to={PATHS.overview}>Go to the overview</ButtonLink>
    </Page>
  );
}

export function NotAllowedPage() {
  const { role, agents } = useMe();
  return (
    <Page
      title="Not for your role"
      intro={`You are ${role}${agents === null ? "" : ", limited to some agents"}. An owner can change that.`}
    >
      <ButtonLink to={PATHS.profile}>Go to your profile</ButtonLink>
    </Page>
  );
}
