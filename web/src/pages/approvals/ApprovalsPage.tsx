import { Outlet, useNavigate, useParams } from "@tanstack/react-router";
import { UserCheck } from "lucide-react";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { usePages } from "@/api/lists";
import type { Approval } from "@/api/types";
import { useTrail } from "@/app/title";
import { ProblemPage } from "@/ui/Problem";
import { Empty, FilterSelect } from "@/ui/parts";
import { Status, wordOf } from "@/ui/Status";
import { Time } from "@/ui/Time";
import { type Column, VirtualList } from "@/ui/VirtualList";
import { APPROVAL_STATUSES, listRoute } from "./route";

const COLUMNS: Column<Approval>[] = [
  {
    id: "status",
    title: "Status",
    width: "104px",
    phone: true,
    cell: (approval) => <Status status={approval.status === "pending" ? "waiting" : approval.status} />,
  },
  {
    id: "title",
    title: "What is asked",
    width: "minmax(0, 1fr)",
    phone: true,
    cell: (approval) => <div className="clip">{approval.title}</div>,
  },
  { id: "at", title: "Asked", width: "88px", num: true, cell: (approval) => <Time at={approval.created_at} /> },
  {
    id: "deadline",
    title: "Until",
    width: "88px",
    num: true,
    cell: (approval) => <Time at={approval.decided_at ?? approval.deadline} />,
  },
];

export function ApprovalsPage() {
  const search = listRoute.useSearch();
  const { status = "pending" } = search;
  const navigate = useNavigate();
  const { approvalId } = useParams({ strict: false });
  const filter = status === "all" ? {} : { status };
  const { query, items, more } = usePages<Approval>({
    queryKey: keys.approvals({ list: status }),
    fetch: (cursor, signal) =>
      take(api.GET("/approvals", { params: { query: { ...filter, cursor, limit: 50 } }, signal })),
  });
  useTrail([{ label: "Approvals" }]);
  const open = (approval: Approval) =>
    void navigate({ to: "/approvals/$approvalId", params: { approvalId: approval.id }, search });
  return (
    <div className="split">
      <div className="main">
        <div className="page-head">
          <h1>Approvals</h1>
          <FilterSelect
            label="Status"
            all="Waiting"
            value={status === "pending" ? undefined : status}
            options={[
              ...APPROVAL_STATUSES.filter((value) => value !== "pending").map((value) => ({
                value,
                label: wordOf(value),
              })),
              { value: "all" as const, label: "All of them" },
            ]}
            onChange={(next) => void navigate({ to: "/approvals", search: { status: next }, replace: true })}
          />
        </div>
        {query.error && items.length === 0 ? (
          <ProblemPage
            error={query.error}
            what="The approvals could not be loaded"
            onRetry={() => void query.refetch()}
          />
        ) : (
          <VirtualList
            name="approvals"
            label="Approvals"
            items={items}
            idOf={(approval) => approval.id}
            columns={COLUMNS}
            loading={query.isPending}
            more={more}
            current={approvalId}
            onOpen={open}
            empty={
              <Empty
                icon={<UserCheck aria-hidden />}
                title={status === "pending" ? "Nothing waits for you" : "None of these"}
              >
                When a run wants to do something that a person must agree to, it stops and asks here, with everything it
                would change.
              </Empty>
            }
          />
        )}
      </div>
      <Outlet />
    </div>
  );
}
