// The pane beside a list: it has its own address, and Escape closes it.
import { X } from "lucide-react";
import type { ReactNode } from "react";
import { useHotkeys } from "@/app/hotkeys";

interface PaneProps {
  title: ReactNode;
  label: string;
  onClose: () => void;
  children: ReactNode;
  actions?: ReactNode;
}

export function Pane({ title, label, onClose, children, actions }: PaneProps) {
  useHotkeys([{ keys: "escape", does: "Close the pane", group: "Lists", run: onClose }]);
  return (
    <aside className="pane" aria-label={label}>
      <div className="pane-head">
        <div className="grow">{title}</div>
        {actions}
        <button type="button" className="button small quiet icon" aria-label="Close the pane" onClick={onClose}>
          <X />
        </button>
      </div>
      <div className="pane-body">{children}</div>
    </aside>
  );
}
