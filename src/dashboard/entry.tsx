// The frame of the pages before sign-in: one card in the middle.
import { useRef, type ReactNode } from "react";
import { ThemeButton } from "./frame.tsx";
import { Icon } from "./parts/icon.tsx";
import { usePageFocus } from "./parts/page.tsx";

interface EntryProps {
  readonly title: string;
  readonly intro?: ReactNode;
  readonly wide?: boolean;
  readonly children: ReactNode;
}

export function Entry({ title, intro, wide = false, children }: EntryProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  usePageFocus(title, heading);
  return (
    <div className={wide ? "entry wide" : "entry"}>
      <header className="entry-head">
        <span className="brand">
          <span className="brand-mark" aria-hidden="true">
            <Icon name="chevron" size={16} />
          </span>
          x3sproxy
        </span>
        <ThemeButton />
      </header>
      <main className="card entry-card">
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        {intro !== undefined && <div className="intro">{intro}</div>}
        {children}
      </main>
    </div>
  );
}
