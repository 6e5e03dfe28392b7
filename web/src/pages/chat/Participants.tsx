// Who takes part in a conversation: asked in from the members, or taken out.
import { useQuery } from "@tanstack/react-query";
import { UserMinus, UserPlus } from "lucide-react";
import { useId, useState } from "react";
import type { Conversation } from "@/api/agents-types";
import { keys } from "@/api/cache";
import { useChange } from "@/api/call";
import { api, take } from "@/api/client";
import { useMay, useSession } from "@/api/session";
import { Dialog } from "@/ui/Dialog";
import { toast, toastError } from "@/ui/toasts";

export function Participants({ conversation, onClose }: { conversation: Conversation; onClose: () => void }) {
  const { user } = useSession();
  const may = useMay();
  const id = useId();
  const [chosen, setChosen] = useState("");
  const members = useQuery({
    queryKey: [...keys.members, "all"],
    queryFn: ({ signal }) => take(api.GET("/members", { params: { query: { limit: 200 } }, signal })),
    enabled: may("members:read"),
  });
  const touches = [keys.conversation(conversation.id), keys.conversations()];
  const invite = useChange("conversations.invite", {
    touches,
    onDone: () => {
      setChosen("");
      toast("Asked in. They see all of the conversation.");
    },
    onFailed: (error) => toastError("Nobody was asked in.", error),
  });
  const leave = useChange("conversations.leave", {
    touches,
    onFailed: (error) => toastError("Nobody was taken out.", error),
  });
  const here = new Set(conversation.participants.map((each) => each.user_id));
  const owner = conversation.participants.some((each) => each.user_id === user.id && each.role === "owner");
  const others = (members.data?.items ?? []).filter((member) => !here.has(member.user.id));
  return (
    <Dialog small title="Who takes part" onClose={onClose}>
      <div className="stack wide">
        <ul className="stack">
          {conversation.participants.map((each) => (
            <li key={each.user_id} className="bar">
              <span className="clip grow">
                {each.name} {each.user_id === user.id && <span className="chip">you</span>}
              </span>
              <span className="faint">{each.role}</span>
              {each.role !== "owner" && (owner || each.user_id === user.id) && (
                <button
                  type="button"
                  className="button small quiet icon"
                  aria-label={each.user_id === user.id ? "Leave" : `Take ${each.name} out`}
                  disabled={leave.isPending}
                  onClick={() => leave.mutate({ conversation_id: conversation.id, user_id: each.user_id })}
                >
                  <UserMinus />
                </button>
              )}
            </li>
          ))}
        </ul>
        {others.length > 0 && (
          <div className="field">
            <label htmlFor={id}>Ask somebody in</label>
            <div className="bar">
              <select id={id} className="input" value={chosen} onChange={(event) => setChosen(event.target.value)}>
                <option value="">Choose</option>
                {others.map((member) => (
                  <option key={member.user.id} value={member.user.id}>
                    {member.user.full_name ?? member.user.email}
                  </option>
                ))}
              </select>
              <button
                type="button"
                className="button"
                disabled={!chosen || invite.isPending}
                onClick={() => invite.mutate({ conversation_id: conversation.id, user_id: chosen })}
              >
                <UserPlus aria-hidden /> Ask in
              </button>
            </div>
            <span className="hint">They read what was said before, and may go on with it.</span>
          </div>
        )}
        {members.data && others.length === 0 && <p className="muted">Every member of the workspace is here.</p>}
      </div>
    </Dialog>
  );
}
