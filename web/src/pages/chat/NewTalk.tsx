// Whom to talk to: a menu of the agents that work.
import { Link } from "@tanstack/react-router";
import { Bot, Plus } from "lucide-react";
import { useAgents } from "@/pages/agents/queries";
import { useTalk } from "@/pages/agents/talk";
import { Menu, MenuItem, MenuLabel } from "@/ui/Menu";

export function NewTalk() {
  const { items } = useAgents("active");
  const talk = useTalk();
  const [only] = items;
  if (!talk.may) return null;
  if (!only) {
    return (
      <Link to="/agents" className="button small">
        <Bot aria-hidden /> Agents
      </Link>
    );
  }
  const button = (
    <button
      type="button"
      className="button small primary"
      disabled={talk.busy}
      onClick={items.length === 1 ? () => talk.start(only) : undefined}
    >
      <Plus aria-hidden /> New
    </button>
  );
  if (items.length === 1) return button;
  return (
    <Menu align="end" trigger={button}>
      <MenuLabel>Talk to</MenuLabel>
      {items.map((agent) => (
        <MenuItem key={agent.id} icon={<Bot aria-hidden />} onSelect={() => talk.start(agent)}>
          {agent.title || agent.name}
        </MenuItem>
      ))}
    </Menu>
  );
}
