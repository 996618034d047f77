// Gives a text to whoever sits there as a file. It never leaves this machine.

export function saveFile(name: string, content: string | Blob, type = "text/plain"): void {
  const file = typeof content === "string" ? new Blob([content], { type }) : content;
  const url = URL.createObjectURL(file);
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  URL.revokeObjectURL(url);
}
