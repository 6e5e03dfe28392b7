// One conversation: what was said, what is being said, and the place to write.
import { useEffect, useState } from "react";
import type { Conversation } from "@/api/agents-types";
import { asApiError } from "@/api/problem";
import { useSession } from "@/api/session";
import { useHotkeys } from "@/app/hotkeys";
import { useTrail } from "@/app/title";
import { ProblemNotice, ProblemPage } from "@/ui/Problem";
import { SkeletonRows } from "@/ui/parts";
import { Composer } from "./Composer";
import { Head } from "./Head";
import { useConversation, useGoing, useTalking, useThread } from "./queries";
import { conversationRoute } from "./route";
import { Thread } from "./Thread";
import "./chat.css";

export function ConversationPage() {
  const { conversationId } = conversationRoute.useParams();
  const query = useConversation(conversationId);
  const title = query.data?.title || "New conversation";
  useTrail([{ label: "Chat", to: "/chat" }, { label: query.data ? title : "Conversation" }]);
  if (query.error && !query.data) {
    return (
      <div className="grow">
        <ProblemPage
          error={query.error}
          what="The conversation could not be loaded"
          onRetry={() => void query.refetch()}
        />
      </div>
    );
  }
  if (!query.data) return <div className="grow chat" role="status" aria-label="Loading" />;
  return <Shown key={conversationId} conversation={query.data} />;
}

function Shown({ conversation }: { conversation: Conversation }) {
  const { user } = useSession();
  const { query, messages, more, going } = useThread(conversation.id);
  const live = useGoing(going?.run_id ?? conversation.run_id);
  const talking = useTalking(conversation);
  const [editing, setEditing] = useState<string>();
  /** Sent, and not answered by the server yet. */
  const [pending, setPending] = useState<string>();
  const busy = Boolean(going) || talking.send.isPending || talking.edit.isPending || talking.retry.isPending;
  const stop = () => {
    if (going && !talking.stop.isPending) talking.stop.mutate({ conversation_id: conversation.id });
  };
  const lastOwn = messages.findLast((message) => message.role === "user" && message.author.id === user.id);
  useHotkeys([
    ...(going ? [{ keys: "escape", does: "Stop the reply", group: "Chat", always: true, run: stop }] : []),
    ...(lastOwn && !busy
      ? [{ keys: "e", does: "Change what you said last", group: "Chat", run: () => setEditing(lastOwn.id) }]
      : []),
    { keys: "enter", does: "Write", group: "Chat", run: () => document.getElementById("composer")?.focus() },
  ]);
  useEffect(() => {
    // It has come: the cache shows it from here on.
    if (!talking.send.isPending) setPending(undefined);
  }, [talking.send.isPending]);
  const send = async (text: string) => {
    setPending(text);
    await talking.send.mutateAsync({ conversation_id: conversation.id, text });
  };
  const closed = conversation.status === "archived";
  return (
    <div className="grow chat">
      <Head conversation={conversation} />
      {query.error && messages.length === 0 ? (
        <ProblemPage error={query.error} what="The messages could not be loaded" onRetry={() => void query.refetch()} />
      ) : query.isPending ? (
        <div className="chat-scroll">
          <SkeletonRows rows={3} />
        </div>
      ) : (
        <Thread
          conversation={conversation}
          messages={messages}
          more={more}
          going={going}
          live={live}
          talking={talking}
          busy={busy || closed}
          editing={editing}
          onEdit={setEditing}
          pending={pending}
        />
      )}
      <div className="chat-foot">
        {talking.send.error && !talking.send.isPending && <NotSent error={talking.send.error} />}
        {closed ? (
          <p className="muted chat-closed">This conversation is archived. Bring it back to go on.</p>
        ) : (
          <Composer
            name={conversation.id}
            agent={conversation.agent_title || conversation.agent_name}
            going={Boolean(going)}
            waiting={live.approvals.length > 0}
            busy={busy}
            onSend={send}
            onStop={stop}
          />
        )}
      </div>
    </div>
  );
}

function NotSent({ error }: { error: unknown }) {
  if (asApiError(error).code === "conversation_busy") {
    return (
      <div className="notice wait" role="alert">
        <div>
          <strong>A reply is still under way.</strong> What you wrote stays below. Wait for it, decide what it asks, or
          stop it, and send again.
        </div>
      </div>
    );
  }
  return <ProblemNotice error={error} what="It was not sent; what you wrote stays below" />;
}
