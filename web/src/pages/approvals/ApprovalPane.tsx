import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import type { Approval } from "@/api/types";
import { ActorName } from "@/ui/ActorName";
import { Pane } from "@/ui/Pane";
import { ProblemNotice } from "@/ui/Problem";
import { CopyId } from "@/ui/parts";
import { Status } from "@/ui/Status";
import { Time } from "@/ui/Time";
import { AskedDetail } from "./AskedDetail";
import { Decide } from "./Decide";
import { listRoute, paneRoute } from "./route";

export function ApprovalPane() {
  const { approvalId } = paneRoute.useParams();
  const search = listRoute.useSearch();
  const navigate = useNavigate();
  const query = useQuery({
    queryKey: keys.approval(approvalId),
    queryFn: ({ signal }) =>
      take(api.GET("/approvals/{approval_id}", { params: { path: { approval_id: approvalId } }, signal })),
  });
  const close = () => void navigate({ to: "/approvals", search });
  return (
    <Pane label="Approval" title={<h2>Approval</h2>} onClose={close}>
      {query.error && (
        <ProblemNotice
          error={query.error}
          what="The approval could not be loaded"
          onRetry={() => void query.refetch()}
        />
      )}
      {query.data && <Shown key={query.data.id} approval={query.data} />}
      {query.isPending && <span className="skeleton" role="status" aria-label="Loading" />}
    </Pane>
  );
}

function Shown({ approval }: { approval: Approval }) {
  return (
    <div className="stack wide">
      <h1>{approval.title}</h1>
      <AskedDetail detail={approval.detail} />
      <Decide approval={approval} />
      <dl className="facts">
        <dt>Status</dt>
        <dd>
          <Status status={approval.status === "pending" ? "waiting" : approval.status} />
        </dd>
        <dt>Run</dt>
        <dd>
          <Link to="/runs/$runId" params={{ runId: approval.run_id }} search={{ step: approval.node }} className="link">
            Step {approval.node}
          </Link>
        </dd>
        <dt>Asked</dt>
        <dd>
          <Time at={approval.created_at} />
        </dd>
        {approval.decided_at ? (
          <>
            <dt>Decided</dt>
            <dd>
              <Time at={approval.decided_at} /> by <ActorName actor={approval.decided_by} />
            </dd>
          </>
        ) : (
          <>
            <dt>Answer by</dt>
            <dd>
              <Time at={approval.deadline} />
            </dd>
          </>
        )}
        {approval.comment && (
          <>
            <dt>Comment</dt>
            <dd>{approval.comment}</dd>
          </>
        )}
        <dt>Id</dt>
        <dd>
          <CopyId id={approval.id} />
        </dd>
      </dl>
    </div>
  );
}
