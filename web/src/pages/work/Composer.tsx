// The line in which a new task is written.
import { Plus } from "lucide-react";
import { useRef, useState } from "react";
import { useHotkeys } from "@/app/hotkeys";

export function Composer({
  onCreate,
  label = "New task",
}: {
  onCreate: (title: string) => Promise<unknown>;
  label?: string;
}) {
  const [title, setTitle] = useState("");
  const input = useRef<HTMLInputElement>(null);
  useHotkeys([{ keys: "n", does: label, group: "Tasks", run: () => input.current?.focus() }]);
  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        const text = title.trim();
        if (!text) return;
        setTitle("");
        // What was refused comes back into the line instead of being lost.
        void onCreate(text).then((made) => !made && setTitle((now) => now || text));
      }}
    >
      <Plus size={16} aria-hidden />
      <input
        ref={input}
        aria-label={label}
        placeholder={`${label} – write and press Enter`}
        maxLength={500}
        value={title}
        onChange={(event) => setTitle(event.target.value)}
        onKeyDown={(event) => event.key === "Escape" && event.currentTarget.blur()}
      />
    </form>
  );
}
