// The frame of one page's content: title, heading, actions. Gives the heading the focus after a change of page, so that
// it is read out and the keyboard goes on from there.
import { useEffect, useRef, type ReactNode } from "react";
import { NavigationType, useLocation, useNavigationType } from "react-router";

interface PageProps {
  readonly title: string;
  readonly intro?: ReactNode;
  readonly actions?: ReactNode;
  readonly children: ReactNode;
}

export function Page({ title, intro, actions, children }: PageProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  usePageFocus(title, heading);
  return (
    <>
      <header className="page-head">
        <div>
          <h1 ref={heading} tabIndex={-1}>
            {title}
          </h1>
          {intro !== undefined && <p className="intro">{intro}</p>}
        </div>
        {actions !== undefined && <div className="page-actions">{actions}</div>}
      </header>
      {children}
    </>
  );
}

/** Sets the document's title. Focuses the heading if the user came from another page. */
export function usePageFocus(
  title: string,
  heading: { readonly current: HTMLHeadingElement | null },
): void {
  const { pathname } = useLocation();
  const arrivedBy = useNavigationType();
  useEffect(() => {
    document.title = `${title} · x3sproxy`;
  }, [title]);
  useEffect(() => {
    const { state } = history as { state: { idx?: number } | null };
    if (arrivedBy === NavigationType.Pop && (state?.idx ?? 0) === 0) return;
    heading.current?.focus({ preventScroll: true });
    if (arrivedBy !== NavigationType.Pop) window.scrollTo(0, 0);
    // A change of the query alone doesn't move the focus.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [pathname]);
}

interface SectionProps {
  readonly title: string;
  readonly intro?: ReactNode;
  readonly actions?: ReactNode;
  readonly children: ReactNode;
}

export function Section({ title, intro, actions, children }: SectionProps) {
  return (
    <section className="section">
      <header className="section-head">
        <div>
          <h2>{title}</h2>
          {intro !== undefined && <p className="intro">{intro}</p>}
        </div>
        {actions}
      </header>
      {children}
    </section>
  );
}
