// Above a conversation: its title, whom one talks to, who takes part, and what one can do with it.
import { Link, useNavigate } from "@tanstack/react-router";
import { Archive, ArchiveRestore, ArrowLeft, Bot, MoreHorizontal, Pencil, Trash2, Users } from "lucide-react";
import { useState } from "react";
import type { Conversation } from "@/api/agents-types";
import { keys } from "@/api/cache";
import { useChange } from "@/api/call";
import { useSession } from "@/api/session";
import { Confirm } from "@/ui/Dialog";
import { Menu, MenuItem, MenuLine } from "@/ui/Menu";
import { toast, toastError } from "@/ui/toasts";
import { NARROW, useMedia } from "@/ui/useMedia";
import { Participants } from "./Participants";

export function Head({ conversation }: { conversation: Conversation }) {
  const navigate = useNavigate();
  const narrow = useMedia(NARROW);
  const { user } = useSession();
  const [renaming, setRenaming] = useState(false);
  const [asking, setAsking] = useState(false);
  const [people, setPeople] = useState(false);
  const touches = [keys.conversation(conversation.id), keys.conversations()];
  const change = useChange<Conversation>("conversations.update", {
    touches,
    onFailed: (error) => toastError("The conversation stays as it was.", error),
  });
  const remove = useChange("conversations.delete", {
    touches: [keys.conversations()],
    onDone: () => {
      toast("The conversation is gone.");
      void navigate({ to: "/chat" });
    },
    onFailed: (error) => toastError("The conversation was not deleted.", error),
  });
  const set = (fields: { title?: string; status?: Conversation["status"] }) =>
    change.mutate({ conversation_id: conversation.id, ...fields, revision: conversation.revision });
  const owner = conversation.participants.some((each) => each.user_id === user.id && each.role === "owner");
  const archived = conversation.status === "archived";
  return (
    <header className="chat-head">
      {narrow && (
        <Link to="/chat" className="button small quiet icon" aria-label="All conversations">
          <ArrowLeft />
        </Link>
      )}
      {renaming ? (
        <Rename
          title={conversation.title}
          onDone={(title) => {
            setRenaming(false);
            if (title && title !== conversation.title) set({ title });
          }}
        />
      ) : (
        <h1 className="clip" title={conversation.title}>
          {conversation.title || "New conversation"}
        </h1>
      )}
      <span className="grow" />
      <Link to="/agents/$agentId" params={{ agentId: conversation.agent_id }} className="button small quiet chat-agent">
        <Bot aria-hidden /> <span className="clip">{conversation.agent_title || conversation.agent_name}</span>
        <span className="faint">v{conversation.agent_version}</span>
      </Link>
      <button
        type="button"
        className="button small quiet"
        aria-label={`Who takes part: ${conversation.participants.length}`}
        title="Who takes part"
        onClick={() => setPeople(true)}
      >
        <Users aria-hidden /> {conversation.participants.length}
      </button>
      <Menu
        align="end"
        trigger={
          <button type="button" className="button small quiet icon" aria-label="More">
            <MoreHorizontal />
          </button>
        }
      >
        <MenuItem icon={<Pencil aria-hidden />} onSelect={() => setRenaming(true)}>
          Rename
        </MenuItem>
        <MenuItem
          icon={archived ? <ArchiveRestore aria-hidden /> : <Archive aria-hidden />}
          onSelect={() => set({ status: archived ? "active" : "archived" })}
        >
          {archived ? "Bring back" : "Archive"}
        </MenuItem>
        {owner && <MenuLine />}
        {owner && (
          <MenuItem icon={<Trash2 aria-hidden />} onSelect={() => setAsking(true)}>
            Delete
          </MenuItem>
        )}
      </Menu>
      {people && <Participants conversation={conversation} onClose={() => setPeople(false)} />}
      {asking && (
        <Confirm
          danger
          title="Delete this conversation?"
          text="For all who take part, and for good. What the agent did stays done."
          action="Delete it"
          busy={remove.isPending}
          onConfirm={() => remove.mutate({ conversation_id: conversation.id })}
          onClose={() => setAsking(false)}
        />
      )}
    </header>
  );
}

function Rename({ title, onDone }: { title: string; onDone: (title: string | undefined) => void }) {
  const [text, setText] = useState(title);
  return (
    <input
      className="input small chat-rename"
      aria-label="Title"
      maxLength={200}
      // biome-ignore lint/a11y/noAutofocus: one has just asked to type here.
      autoFocus
      value={text}
      onChange={(event) => setText(event.target.value)}
      onFocus={(event) => event.target.select()}
      onBlur={() => onDone(text.trim())}
      onKeyDown={(event) => {
        if (event.key === "Enter") onDone(text.trim());
        if (event.key === "Escape") {
          event.preventDefault();
          onDone(undefined);
        }
      }}
    />
  );
}
