// Recovery codes, shown once: to copy, or to keep as a file that never leaves this machine.
import { Button } from "./button.tsx";
import { CodeBlock } from "./copy.tsx";
import { Icon } from "./icon.tsx";
import { saveFile } from "./save-file.ts";

export function RecoveryCodes({ codes, account }: { codes: readonly string[]; account: string }) {
  const text = codes.join("\n");
  const save = () =>
    saveFile("x3sproxy-recovery-codes.txt", `x3sproxy recovery codes for ${account}\n\n${text}\n`);
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
