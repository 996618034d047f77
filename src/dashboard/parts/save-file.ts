// Saves a text as a file on the user's machine, without sending it anywhere.

export function saveFile(name: string, content: string | Blob, type = "text/plain"): void {
  const file = typeof content === "string" ? new Blob([content], { type }) : content;
  const url = URL.createObjectURL(file);
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  URL.revokeObjectURL(url);
}
