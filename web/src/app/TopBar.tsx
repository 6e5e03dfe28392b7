import { Link } from "@tanstack/react-router";
import { ChevronRight, Hourglass, Search } from "lucide-react";
import { Fragment } from "react";
import { usePhone } from "@/ui/useMedia";
import { Keys } from "./KeySheet";
import { UserMenu } from "./Sidebar";
import { TimerChip } from "./TimerChip";
import { useCrumbs } from "./title";
import { useWaitingCount } from "./waiting";

/** Where one is, the search, and what waits. */
export function TopBar({ onSearch }: { onSearch: () => void }) {
  const crumbs = useCrumbs();
  const waiting = useWaitingCount();
  const phone = usePhone();
  return (
    <header className="topbar">
      <nav aria-label="Breadcrumb" className="crumbs">
        {crumbs.map((crumb, index) => (
          <Fragment key={crumb.label + String(index)}>
            {index > 0 && <ChevronRight aria-hidden />}
            {crumb.to ? (
              <Link to={crumb.to} className="clip">
                {crumb.label}
              </Link>
            ) : (
              <span className="clip here" aria-current="page">
                {crumb.label}
              </span>
            )}
          </Fragment>
        ))}
      </nav>
      <TimerChip />
      {waiting && (
        <Link to="/approvals" className="button small" title="What waits for you">
          <Hourglass aria-hidden className="tone-wait" />
          {waiting} {phone ? <span className="hidden-text">waiting</span> : "waiting"}
        </Link>
      )}
      <button type="button" className="button small search" onClick={onSearch}>
        <Search aria-hidden />
        <span className={phone ? "hidden-text" : "faint"}>Search</span>
        <span className="hidden-text"> pages and operations</span>
        {!phone && <Keys keys="mod+k" />}
      </button>
      {phone && <UserMenu />}
    </header>
  );
}
