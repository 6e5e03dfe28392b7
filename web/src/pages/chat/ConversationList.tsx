// Conversations, the last one first: of one agent, or all of one's own.
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { CircleDotDashed, MessagesSquare } from "lucide-react";
import type { Conversation } from "@/api/agents-types";
import { useHotkeys } from "@/app/hotkeys";
import { ProblemNotice } from "@/ui/Problem";
import { Empty, SkeletonRows } from "@/ui/parts";
import { Time } from "@/ui/Time";
import { useConversations } from "./queries";
import "./chat.css";

interface ConversationListProps {
  agentId?: string;
  current?: string;
  /** Whether one may look at those that are put away. */
  filterable?: boolean;
}

export function ConversationList({ agentId, current, filterable }: ConversationListProps) {
  const navigate = useNavigate();
  const search = useSearch({ strict: false });
  const archived = filterable === true && search.archived === true;
  const { query, items, more } = useConversations({ agentId, archived });
  const at = items.findIndex((each) => each.id === current);
  const open = (conversation: Conversation | undefined) =>
    conversation &&
    void navigate({
      to: "/agents/$agentId/c/$conversationId",
      params: { agentId: conversation.agent_id, conversationId: conversation.id },
      search: archived ? { archived } : {},
    });
  useHotkeys(
    filterable
      ? [
          { keys: "j", does: "Next conversation", group: "Chat", run: () => open(items[at + 1]) },
          { keys: "k", does: "Conversation before", group: "Chat", run: () => open(items[at < 0 ? 0 : at - 1]) },
        ]
      : [],
  );
  return (
    <div className="talks">
      {query.error && items.length === 0 && (
        <ProblemNotice
          error={query.error}
          what="The conversations could not be loaded"
          onRetry={() => void query.refetch()}
        />
      )}
      {query.isPending && query.fetchStatus !== "idle" && <SkeletonRows rows={5} />}
      {query.data && items.length === 0 && (
        <Empty icon={<MessagesSquare aria-hidden />} title={archived ? "None is archived" : "No conversation yet"}>
          {archived
            ? "Conversations that you archive are kept here."
            : "What you say to an agent, and what it does then, stands here."}
        </Empty>
      )}
      <ul>
        {items.map((conversation) => (
          <li key={conversation.id}>
            <Link
              to="/agents/$agentId/c/$conversationId"
              params={{ agentId: conversation.agent_id, conversationId: conversation.id }}
              search={archived ? { archived } : {}}
              className={conversation.id === current ? "talk current" : "talk"}
              aria-current={conversation.id === current ? "page" : undefined}
            >
              <span className="clip talk-title">{conversation.title || "New conversation"}</span>
              <span className="bar talk-more">
                {conversation.run_id && (
                  <CircleDotDashed size={14} className="tone-busy" aria-label="a reply is under way" />
                )}
                {!agentId && <span className="clip">{conversation.agent_title || conversation.agent_name}</span>}
                <Time at={conversation.updated_at} className="faint talk-time" />
              </span>
            </Link>
          </li>
        ))}
      </ul>
      {more.has && (
        <button type="button" className="button small quiet" disabled={more.busy} onClick={more.load}>
          Show more
        </button>
      )}
      {filterable && (
        <Link to="/chat" search={{ archived: archived ? undefined : true }} className="talks-archived muted">
          {archived ? "Back to the active ones" : "Archived ones"}
        </Link>
      )}
    </div>
  );
}
