// Around the pages of models: their tabs.
import { Link, Outlet } from "@tanstack/react-router";
import { useMay } from "@/api/session";
import "./models.css";

const TABS = [
  { to: "/models", label: "Providers", permission: "models:read" },
  { to: "/models/routes", label: "Routes", permission: "models:read" },
  { to: "/models/known", label: "Models and prices", permission: "models:read" },
  { to: "/models/usage", label: "Usage and cost", permission: "usage:read" },
  { to: "/models/try", label: "Try it", permission: "llm:chat" },
] as const;

export function ModelsPage() {
  const may = useMay();
  return (
    <div className="page">
      <nav className="tabs models-tabs" aria-label="Models">
        {TABS.filter((tab) => may(tab.permission)).map((tab) => (
          <Link
            key={tab.to}
            to={tab.to}
            className="tab"
            activeOptions={{ exact: true, includeSearch: false }}
            activeProps={{ className: "active" }}
          >
            {tab.label}
          </Link>
        ))}
      </nav>
      <div className="grow models-body">
        <Outlet />
      </div>
    </div>
  );
}
