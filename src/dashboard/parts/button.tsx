// Buttons, and links that look like them.
import type { ComponentProps, ReactNode } from "react";
import { Link } from "react-router";

type Kind = "primary" | "plain" | "quiet" | "danger";

interface ButtonProps extends Omit<ComponentProps<"button">, "onClick"> {
  readonly kind?: Kind;
  readonly small?: boolean;
  /** Work is under way: the button shows it and ignores further clicks. It keeps the focus. */
  readonly busy?: boolean;
  readonly onClick?: () => void;
}

export function Button(props: ButtonProps) {
  const { kind = "plain", small, busy = false, className, onClick, children, ...rest } = props;
  return (
    <button
      type="button"
      {...rest}
      className={classes(kind, small, className)}
      aria-disabled={busy || undefined}
      aria-busy={busy || undefined}
      onClick={(event) => {
        if (busy) event.preventDefault();
        else onClick?.();
      }}
    >
      {busy && <span className="spinner" aria-hidden="true" />}
      {children}
    </button>
  );
}

interface ButtonLinkProps {
  readonly to: string;
  readonly kind?: Kind;
  readonly small?: boolean;
  readonly children: ReactNode;
}

export function ButtonLink({ to, kind = "plain", small, children }: ButtonLinkProps) {
  return (
    <Link to={to} className={classes(kind, small)}>
      {children}
    </Link>
  );
}

interface IconButtonProps extends Omit<ButtonProps, "children"> {
  /** What it does: its accessible name. */
  readonly label: string;
  readonly children: ReactNode;
}

export function IconButton({ label, className = "", ...rest }: IconButtonProps) {
  return (
    <Button kind="quiet" {...rest} className={`icon-button ${className}`} aria-label={label} />
  );
}

function classes(kind: Kind, small = false, more?: string): string {
  return ["button", kind, small && "small", more].filter(Boolean).join(" ");
}
