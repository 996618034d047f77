// The few pictures, as strokes on a 24 × 24 grid. Always beside a text or on something that has a name.
const SHAPES = {
  overview: "M4 19V11M10 19V5M16 19v-9M22 19H2",
  secrets: "M8 20a4 4 0 1 0 0-8 4 4 0 0 0 0 8M11 13l9-9M15.5 8.5l3 3",
  agents:
    "M12 3v3M5 9a3 3 0 0 1 3-3h8a3 3 0 0 1 3 3v7a3 3 0 0 1-3 3H8a3 3 0 0 1-3-3zM9.5 11v2M14.5 11v2M2.5 12v3M21.5 12v3",
  activity: "M2 12h4l3-8 5 16 3-8h5",
  audit: "M6 3h9l4 4v14H6zM14 3v5h5M9.5 12.5h6M9.5 16.5h6",
  users:
    "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7M2.5 20a6.5 6.5 0 0 1 13 0M16 4.3a3.5 3.5 0 0 1 0 6.4M18 14a6.5 6.5 0 0 1 3.5 6",
  apiKeys: "M8 9l-4 3 4 3M16 9l4 3-4 3M13.5 6l-3 12",
  settings:
    "M4 7h9M19 7h1M4 17h1M11 17h9M16 9.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5M8 19.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5",
  menu: "M4 7h16M4 12h16M4 17h16",
  close: "M6 6l12 12M18 6L6 18",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  download: "M12 4v11M7.5 11l4.5 4.5 4.5-4.5M5 20h14",
  check: "M5 12.5l4.5 4.5L19 7.5",
  warning: "M12 4l9.5 16h-19zM12 10v4.5M12 17.5h.01",
  plus: "M12 5v14M5 12h14",
  sun: "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8M12 2v2M12 20v2M2 12h2M20 12h2M4.9 4.9l1.4 1.4M17.7 17.7l1.4 1.4M4.9 19.1l1.4-1.4M17.7 6.3l1.4-1.4",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5",
  screen: "M3 5h18v11H3zM9 20h6M12 16v4",
  chevron: "M9 6l6 6-6 6",
} as const;

export type IconName = keyof typeof SHAPES;

export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg className="icon" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true">
      <path d={SHAPES[name]} />
    </svg>
  );
}
