// The form for a new agent.
import { useNavigate } from "@tanstack/react-router";
import { useTrail } from "@/app/title";
import { AgentEditor } from "./AgentEditor";
import "./agents.css";

export function NewAgentPage() {
  const navigate = useNavigate();
  useTrail([{ label: "Agents", to: "/agents" }, { label: "New" }]);
  return (
    <div className="page">
      <div className="page-head">
        <h1>New agent</h1>
      </div>
      <AgentEditor
        agent={undefined}
        onSaved={(agent) => void navigate({ to: "/agents/$agentId", params: { agentId: agent.id }, replace: true })}
      />
    </div>
  );
}
