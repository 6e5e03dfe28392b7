// Beginning a conversation with an agent.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import type { Agent, Conversation } from "@/api/agents-types";
import { keys } from "@/api/cache";
import { callOperation } from "@/api/call";
import { useMay } from "@/api/session";
import { toastError } from "@/ui/toasts";

export function useTalk() {
  const navigate = useNavigate();
  const client = useQueryClient();
  const may = useMay();
  const start = useMutation({
    mutationFn: (agent: Pick<Agent, "id">) =>
      callOperation<Conversation>("conversations.create", { agent_id: agent.id }),
    onSuccess: (made) => {
      client.setQueryData(keys.conversation(made.id), made);
      void client.invalidateQueries({ queryKey: keys.conversations() });
      void navigate({
        to: "/agents/$agentId/c/$conversationId",
        params: { agentId: made.agent_id, conversationId: made.id },
      });
    },
    onError: (error) => toastError("The conversation could not be begun.", error),
  });
  return { may: may("agents:run"), busy: start.isPending, start: start.mutate };
}
