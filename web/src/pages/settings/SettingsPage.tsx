import { Link, Outlet } from "@tanstack/react-router";
import { useMay } from "@/api/session";
import "./settings.css";

const TABS = [
  { to: "/settings", label: "You", permission: undefined },
  { to: "/settings/workspace", label: "Workspace", permission: "workspaces:read" },
  { to: "/settings/members", label: "Members", permission: "members:read" },
  { to: "/settings/keys", label: "Keys", permission: "keys:read" },
] as const;

export function SettingsPage() {
  const may = useMay();
  return (
    <div className="page">
      <nav className="tabs settings-tabs" aria-label="Settings">
        {TABS.filter((tab) => !tab.permission || may(tab.permission)).map((tab) => (
          <Link
            key={tab.to}
            to={tab.to}
            className="tab"
            activeOptions={{ exact: true }}
            activeProps={{ className: "active" }}
          >
            {tab.label}
          </Link>
        ))}
      </nav>
      <div className="grow settings-body">
        <Outlet />
      </div>
    </div>
  );
}
