import { useMay } from "@/api/session";
import { navEntries } from "@/pages";
import type { NavEntry } from "./nav";

/** The places that the signed-in person may see. */
export function useEntries(): NavEntry[] {
  const may = useMay();
  return navEntries.filter((entry) => !entry.permission || may(entry.permission));
}
