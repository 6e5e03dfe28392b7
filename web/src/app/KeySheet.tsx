// `?`: every key that does something on this page.
import { capsOf, type Shortcut } from "@/lib/keys";
import { Dialog } from "@/ui/Dialog";
import { useShortcuts } from "./hotkeys";

export function Keys({ keys }: { keys: string }) {
  return (
    <span className="keys">
      {capsOf(keys).map((cap) => (
        <kbd key={cap}>{cap}</kbd>
      ))}
    </span>
  );
}

export function KeySheet({ onClose }: { onClose: () => void }) {
  const shortcuts = useShortcuts();
  const groups = new Map<string, Shortcut[]>();
  for (const shortcut of shortcuts) {
    const group = groups.get(shortcut.group) ?? [];
    if (group.some((known) => known.keys === shortcut.keys)) continue;
    groups.set(shortcut.group, [...group, shortcut]);
  }
  return (
    <Dialog title="Keys" onClose={onClose}>
      <div className="key-sheet">
        {[...groups].map(([name, group]) => (
          <section key={name}>
            <h3>{name}</h3>
            <dl>
              {group.map((shortcut) => (
                <div key={shortcut.keys}>
                  <dt>{shortcut.does}</dt>
                  <dd>
                    <Keys keys={shortcut.keys} />
                  </dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
