import type { LucideIcon } from "lucide-react";

/** A place in the side bar, the palette and the keys. Each page's `route.ts` exports its own. */
export interface NavEntry {
  to: string;
  label: string;
  icon: LucideIcon;
  /** Pressed after `g`. */
  key?: string;
  /** Left out for those who may not. */
  permission?: string;
  /** Stands in the bottom bar of a phone. */
  phone?: boolean;
  /** Paths elsewhere that belong to it, and not to whom they begin like. */
  also?: RegExp;
  /** A number beside it: what waits. */
  badge?: "waiting";
  /** Below the line: what one needs seldom. */
  low?: boolean;
}
