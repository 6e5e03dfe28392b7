// Conversations on the left, the one in sight beside them; on a narrow page one or the other.
import { Outlet, useParams } from "@tanstack/react-router";
import { NARROW, useMedia } from "@/ui/useMedia";
import { ConversationList } from "./ConversationList";
import { NewTalk } from "./NewTalk";
import "./chat.css";

export function ChatLayout() {
  const { conversationId } = useParams({ strict: false });
  const narrow = useMedia(NARROW);
  return (
    <div className="split">
      {/* One tree at any width: what is being typed beside it stays when a tablet is turned. */}
      {!(narrow && conversationId) && (
        <section className={narrow ? "chat-side alone" : "chat-side"} aria-label="Conversations">
          <div className="page-head">
            <h1>Chat</h1>
            <NewTalk />
          </div>
          <ConversationList current={conversationId} filterable />
        </section>
      )}
      {(!narrow || conversationId) && <Outlet />}
    </div>
  );
}
