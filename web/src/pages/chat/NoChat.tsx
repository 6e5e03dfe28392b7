// Beside the list while no conversation is chosen: whom one can talk to.
import { Link } from "@tanstack/react-router";
import { Bot, MessageSquarePlus } from "lucide-react";
import { useMay } from "@/api/session";
import { useTrail } from "@/app/title";
import { useAgents } from "@/pages/agents/queries";
import { useTalk } from "@/pages/agents/talk";
import { useModels } from "@/pages/models/queries";
import { Empty } from "@/ui/parts";

const MOST = 8;

export function NoChat() {
  const { query, items } = useAgents("active");
  const talk = useTalk();
  const may = useMay();
  const models = useModels();
  useTrail([{ label: "Chat" }]);
  if (query.isPending && query.fetchStatus !== "idle") return <div className="grow" />;
  const noModel = models.data && models.data.items.length === 0 && models.data.routes.length === 0;
  if (items.length === 0) {
    return (
      <div className="grow">
        <Empty
          icon={<Bot aria-hidden />}
          title="There is nobody to talk to yet"
          action={
            noModel && may("models:write") ? (
              <Link to="/models" search={{ provider: "new" }} className="button primary">
                Add a provider
              </Link>
            ) : (
              may("agents:write") && (
                <Link to="/agents/new" className="button primary">
                  Make an agent
                </Link>
              )
            )
          }
        >
          {noModel
            ? "Agents need a model first. An Ollama on the server's machine is found by itself; any other provider is added with its key."
            : "Make an agent: give it instructions, a model and tools, and talk to it here."}
        </Empty>
      </div>
    );
  }
  return (
    <div className="grow nochat">
      <h2>Talk to an agent</h2>
      <ul>
        {items.slice(0, MOST).map((agent) => (
          <li key={agent.id}>
            <button type="button" className="card nochat-agent" disabled={talk.busy} onClick={() => talk.start(agent)}>
              <MessageSquarePlus aria-hidden />
              <span className="grow">
                <strong className="clip">{agent.title || agent.name}</strong>
                <span className="clip muted">{agent.description || agent.spec.model}</span>
              </span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
