// Drop-down menus. Not modal: a modal one would inject a style tag, which the content policy refuses.
import * as Dropdown from "@radix-ui/react-dropdown-menu";
import { Check } from "lucide-react";
import type { ReactNode } from "react";

interface MenuProps {
  trigger: ReactNode;
  children: ReactNode;
  align?: "start" | "end";
  side?: "top" | "bottom";
}

export function Menu({ trigger, children, align = "start", side = "bottom" }: MenuProps) {
  return (
    <Dropdown.Root modal={false}>
      <Dropdown.Trigger asChild>{trigger}</Dropdown.Trigger>
      <Dropdown.Portal>
        <Dropdown.Content className="menu" align={align} side={side} sideOffset={4} collisionPadding={8}>
          {children}
        </Dropdown.Content>
      </Dropdown.Portal>
    </Dropdown.Root>
  );
}

interface ItemProps {
  onSelect: () => void;
  icon?: ReactNode;
  children: ReactNode;
  disabled?: boolean;
  checked?: boolean;
}

export function MenuItem({ onSelect, icon, children, disabled, checked }: ItemProps) {
  return (
    <Dropdown.Item className="menu-item" onSelect={onSelect} disabled={disabled}>
      {icon}
      <span className="grow">{children}</span>
      {checked && <Check aria-label="chosen" />}
    </Dropdown.Item>
  );
}

export function MenuLabel({ children }: { children: ReactNode }) {
  return <Dropdown.Label className="menu-label">{children}</Dropdown.Label>;
}

export function MenuLine() {
  return <Dropdown.Separator className="menu-line" />;
}
