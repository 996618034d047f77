// Recovery codes, shown once: to copy, or to keep as a file that never leaves this machine.
import { Button } from "./button.tsx";
import { CodeBlock } from "./copy.tsx";
import { Icon } from "./icon.tsx";

export function RecoveryCodes({ codes, account }: { codes: readonly string[]; account: string }) {
  const text = codes.join("\n");
  const save = () => {
    const file = new Blob([`x3sproxy recovery codes for ${account}\n\n${text}\n`], {
      type: "text/plain",
    });
    const url = URL.createObjectURL(file);
    const link = Object.assign(document.createElement("a"), {
      href: url,
      download: "x3sproxy-recovery-codes.txt",
    });
    link.click();
    URL.revokeObjectURL(url);
  };
  return (
    <div className="recovery-codes">
      <p>
        Each of these works once in place of a code, for when your device is lost. They are shown
        only now. Keep them where you keep passwords.
      </p>
      <CodeBlock text={text} what="recovery codes" />
      <Button onClick={save}>
        <Icon name="download" size={16} /> Download as a file
      </Button>
    </div>
  );
}
