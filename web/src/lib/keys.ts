// Keyboard: which keys mean what, and when they are meant for a field instead.

export interface Shortcut {
  keys: string;
  does: string;
  group: string;
}

/** Whether the keys pressed belong to a text field. */
export function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable) return true;
  const name = target.tagName;
  if (name === "TEXTAREA" || name === "SELECT") return true;
  return name === "INPUT" && !["checkbox", "radio", "button"].includes((target as HTMLInputElement).type);
}

export const isMac = /mac|iphone|ipad/i.test(globalThis.navigator?.userAgent ?? "");

/** "mod+k" as it stands on the caps of this machine. */
export function capsOf(keys: string): string[] {
  return keys.split(" ").flatMap((part) => part.split("+").map(cap));
}

function cap(key: string): string {
  if (key === "mod") return isMac ? "⌘" : "Ctrl";
  if (key === "shift") return "⇧";
  if (key === "enter") return "↵";
  if (key === "escape") return "Esc";
  if (key === "up") return "↑";
  if (key === "down") return "↓";
  if (key === "left") return "←";
  if (key === "right") return "→";
  if (key === "alt") return isMac ? "⌥" : "Alt";
  return key.length === 1 ? key.toUpperCase() : key;
}

export interface Pressed {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  shiftKey: boolean;
  altKey: boolean;
}

/** The name of a pressed key, such as `mod+k`, `shift+x` or `?`. */
export function nameOf(event: Pressed): string {
  const mod = event.metaKey || event.ctrlKey;
  const key = event.key === " " ? "space" : event.key.replace(/^Arrow/, "").toLowerCase();
  // Shift is part of what a sign such as `?` is; only letters and named keys keep it apart.
  const shift = event.shiftKey && (key.length > 1 || /[a-z]/.test(key));
  return [mod && "mod", event.altKey && "alt", shift && "shift", key].filter(Boolean).join("+");
}
