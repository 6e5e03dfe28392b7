// What the conversations ask for, and what one can do in them.
import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo } from "react";
import type { Conversation, Message, Retried, Sent } from "@/api/agents-types";
import { keys } from "@/api/cache";
import { callOperation, useCall, useChange } from "@/api/call";
import { usePages } from "@/api/lists";
import { useLiveEvents, useTurns } from "@/api/live/live";
import { asApiError } from "@/api/problem";
import { useMay } from "@/api/session";
import type { Page } from "@/api/types";
import type { ChildStep } from "@/lib/agent-steps";
import { isGoing } from "@/lib/reply";
import { type MessagePages, replacedFrom, threadOf, withNewest } from "@/lib/thread";
import { useRunApprovals, useSteps } from "@/pages/run/queries";
import { toastError } from "@/ui/toasts";

const PAGE = 50;
/** While a reply is under way it is looked at so often, should an event not have come. */
const LOOK_MS = 15_000;

export interface ConversationFilter {
  agentId?: string;
  archived?: boolean;
}

export function useConversations({ agentId, archived }: ConversationFilter) {
  const may = useMay();
  const filter = { ...(agentId && { agent_id: agentId }), status: archived ? "archived" : "active" };
  return usePages<Conversation>({
    queryKey: keys.conversations(filter),
    fetch: (cursor, signal) =>
      callOperation<Page<Conversation>>(
        "conversations.list",
        { ...filter, limit: PAGE, ...(cursor && { cursor }) },
        { signal },
      ),
    enabled: may("agents:run"),
  });
}

export function useConversation(id: string) {
  return useCall<Conversation>("conversations.get", { conversation_id: id }, { queryKey: keys.conversation(id) });
}

export function useThread(id: string) {
  const { query, items, more } = usePages<Message>({
    queryKey: keys.messages(id),
    fetch: (cursor, signal) =>
      callOperation<Page<Message>>(
        "conversations.messages",
        { conversation_id: id, limit: PAGE, ...(cursor && { cursor }) },
        { signal },
      ),
  });
  const messages = useMemo(() => threadOf(items), [items]);
  const going = messages.findLast((message) => message.role === "assistant" && isGoing(message));
  const client = useQueryClient();
  const look = useCallback(() => {
    void client.invalidateQueries({ queryKey: keys.messages(id) });
    void client.invalidateQueries({ queryKey: keys.conversation(id) });
  }, [client, id]);
  const runId = going?.run_id;
  useLiveEvents((events) => {
    // The end of a reply is worth asking for at once.
    const over = events.some(
      (event) =>
        (event.kind === "message.finished" && (event.data as { conversation_id?: string }).conversation_id === id) ||
        (event.kind === "run.finished" && event.subject === `run:${runId}`),
    );
    if (over) look();
  });
  useEffect(() => {
    if (!runId) return;
    const timer = setInterval(look, LOOK_MS);
    return () => clearInterval(timer);
  }, [runId, look]);
  return { query, messages, more, going, look };
}

/** The reply under way: what is said, how its calls stand, what it asks. */
export function useGoing(runId: string | null | undefined) {
  const turns = useTurns(runId);
  const steps = useSteps(runId ?? "", Boolean(runId));
  const approvals = useRunApprovals(runId ?? "", Boolean(runId));
  return {
    turns,
    steps: (runId ? (steps.data ?? []) : []) as readonly ChildStep[],
    approvals: runId ? (approvals.data?.items ?? []) : [],
  };
}

/** Everything that changes a conversation or adds to it. */
export function useTalking(conversation: Conversation) {
  const client = useQueryClient();
  const { id } = conversation;
  const key = keys.messages(id);
  const touches = [keys.conversation(id), keys.conversations()];
  const put = (change: (pages: MessagePages | undefined) => MessagePages, run?: string) => {
    client.setQueryData<MessagePages>(key, change);
    if (run) client.setQueryData<Conversation>(keys.conversation(id), (known) => known && { ...known, run_id: run });
  };
  const busy = (what: string) => (error: unknown) => {
    if (asApiError(error).code === "conversation_busy") void client.invalidateQueries({ queryKey: key });
    toastError(what, error);
  };
  const send = useChange<Sent>("conversations.send", {
    touches,
    onDone: (sent) => put((pages) => withNewest(pages, [sent.reply, sent.message]), sent.run_id),
    onFailed: (error) => {
      if (asApiError(error).code === "conversation_busy") void client.invalidateQueries({ queryKey: key });
    },
  });
  const edit = useChange<Sent, { conversation_id: string; message_id: string; text: string }>("conversations.edit", {
    touches,
    onDone: (sent, { message_id }) =>
      put((pages) => replacedFrom(pages, message_id, [sent.reply, sent.message]), sent.run_id),
    onFailed: busy("The message was not changed."),
  });
  const retry = useChange<Retried, { conversation_id: string; message_id: string }>("conversations.retry", {
    touches,
    onDone: (made, { message_id }) => put((pages) => replacedFrom(pages, message_id, [made.reply]), made.run_id),
    onFailed: busy("It was not tried again."),
  });
  const branch = useChange<Conversation, { conversation_id: string; message_id: string }>("conversations.switch", {
    touches: [...touches, key],
    onFailed: busy("The other branch could not be shown."),
  });
  const stop = useChange<Conversation, { conversation_id: string }>("conversations.stop", {
    touches: [...touches, key],
    onFailed: (error) => toastError("It could not be stopped.", error),
  });
  return { send, edit, retry, branch, stop };
}

export type Talking = ReturnType<typeof useTalking>;
