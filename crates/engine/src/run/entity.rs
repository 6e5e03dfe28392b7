//! The engine's rows: graphs, runs, journal, queue, signals, approvals. They never leave this crate.

use synapscale_store::schema::{Index, Table, boolean, integer, json, text, timestamp, uuid};
use synapscale_store::{EntitySpec, Migration, tenant_entity};

/// Hash partitions of the journal on PostgreSQL.
const PARTITIONS: u16 = 8;

tenant_entity!(graph, "graphs", [id: Uuid], {
    digest: Vec<u8>,
    #[sea_orm(column_type = "JsonBinary")]
    file: Json,
    created_at: DateTimeUtc,
});

tenant_entity!(run, "runs", [id: Uuid], {
    graph_id: Uuid,
    workflow_id: Option<Uuid>,
    workflow_version: Option<i64>,
    workflow_name: Option<String>,
    entry: String,
    status: String,
    #[sea_orm(column_type = "JsonBinary")]
    input: Json,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    output: Option<Json>,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    error: Option<Json>,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    response: Option<Json>,
    principal_kind: String,
    principal_id: Uuid,
    behalf_kind: Option<String>,
    behalf_id: Option<Uuid>,
    priority: i64,
    correlation: Uuid,
    private_to: Option<Uuid>,
    parent_run_id: Option<Uuid>,
    parent_node: Option<String>,
    parent_path: Option<String>,
    depth: Option<i64>,
    work_ms: i64,
    created_at: DateTimeUtc,
    started_at: Option<DateTimeUtc>,
    finished_at: Option<DateTimeUtc>,
});

tenant_entity!(journal, "journal", [run_id: Uuid, seq: i64], {
    node: String,
    path: String,
    attempt: i64,
    kind: String,
    #[sea_orm(column_type = "JsonBinary")]
    data: Json,
    at: DateTimeUtc,
});

tenant_entity!(queue, "run_queue", [run_id: Uuid], {
    priority: i64,
    ready_at: DateTimeUtc,
    owner: Option<Uuid>,
    lease_epoch: i64,
    lease_until: Option<DateTimeUtc>,
    crashes: i64,
    signals: i64,
    awaits: Option<String>,
    lane: i64,
    parked: bool,
});

tenant_entity!(slot, "run_slots", [run_id: Uuid], {
    limit_id: Uuid,
    key: String,
    held: bool,
    most: i64,
    since: DateTimeUtc,
    rank: DateTimeUtc,
    leaving: bool,
});

tenant_entity!(start, "run_starts", [run_id: Uuid], {
    limit_id: Uuid,
    key: String,
    at: DateTimeUtc,
});

tenant_entity!(signal, "run_signals", [id: Uuid], {
    run_id: Uuid,
    node: String,
    kind: String,
    #[sea_orm(column_type = "JsonBinary")]
    payload: Json,
    at: DateTimeUtc,
});

tenant_entity!(approval, "approvals", [id: Uuid], {
    run_id: Uuid,
    node: String,
    path: String,
    title: String,
    #[sea_orm(column_type = "JsonBinary")]
    detail: Json,
    status: String,
    decided_by_kind: Option<String>,
    decided_by_id: Option<Uuid>,
    decided_at: Option<DateTimeUtc>,
    comment: Option<String>,
    deadline: DateTimeUtc,
    created_at: DateTimeUtc,
});

/// Every word that a run's status can be.
const STATUSES: &[&str] = &[
    "queued",
    "running",
    "waiting",
    "paused",
    "succeeded",
    "failed",
    "cancelled",
];

/// What the engine keeps, in the order in which it came to be.
pub fn migrations() -> Vec<Migration> {
    vec![
        first(),
        Migration::new("engine_0002_private_runs").add_column("runs", uuid("private_to").null()),
        Migration::new("engine_0003_child_runs")
            .add_column("runs", uuid("parent_run_id").null())
            .add_column("runs", text("parent_node").null())
            .add_column("runs", text("parent_path").null())
            .add_column("runs", integer("depth").null()),
        // Old runs leave with their journals.
        Migration::new("engine_0004_old_runs_leave")
            .may_delete("journal")
            .add_index(
                "runs",
                Index::new("runs_by_end", &["finished_at"]).across_tenants(),
            ),
        limits(),
    ]
}

/// Places and beginnings of limited runs, and a queue whose claims see nothing of those that wait for them. Rows that stand
/// in the queue already are of the usual lane, whatever their priority.
fn limits() -> Migration {
    let free = "owner IS NULL AND NOT parked";
    Migration::new("engine_0005_limits")
        .add_column("run_queue", text("awaits").null())
        .add_column("run_queue", integer("lane").default("1"))
        .add_column("run_queue", boolean("parked").default("false"))
        // A planner that has the choice takes it for a lane that is empty, and reads the whole queue.
        .drop_index(
            "run_queue",
            Index::new("run_queue_ready", &["ready_at"]).across_tenants(),
        )
        .add_index(
            "run_queue",
            Index::new("run_queue_lanes", &["lane", "ready_at"])
                .across_tenants()
                .only(free),
        )
        .add_index(
            "run_queue",
            Index::new("run_queue_leases", &["lease_until"])
                .across_tenants()
                .only("owner IS NOT NULL"),
        )
        .add_index(
            "run_queue",
            Index::new("run_queue_parked", &["lane", "ready_at"]).only("parked"),
        )
        .create(
            Table::tenant(
                "run_slots",
                [
                    uuid("run_id"),
                    uuid("limit_id"),
                    text("key"),
                    boolean("held"),
                    integer("most"),
                    timestamp("since"),
                    timestamp("rank"),
                    boolean("leaving").default("false"),
                ],
            )
            .key(&["run_id"])
            .seen_by_system()
            .index("run_slots_by_limit", &["limit_id", "held", "rank"])
            .index_with(
                Index::new("run_slots_waiting", &["tenant_id", "limit_id"])
                    .across_tenants()
                    .only("NOT held"),
            ),
        )
        .create(
            Table::tenant(
                "run_starts",
                [uuid("run_id"), uuid("limit_id"), text("key"), timestamp("at")],
            )
            .key(&["run_id"])
            .seen_by_system()
            .index("run_starts_by_limit", &["limit_id", "at"])
            .index_with(Index::new("run_starts_by_time", &["at"]).across_tenants()),
        )
}

fn first() -> Migration {
    Migration::new("engine_0001_runs")
        .create(
            Table::tenant(
                "graphs",
                [
                    uuid("id"),
                    synapscale_store::schema::bytes("digest"),
                    json("file"),
                    timestamp("created_at"),
                ],
            )
            .unique("graphs_by_digest", &["digest"]),
        )
        .create(runs())
        .create(
            Table::tenant(
                "journal",
                [
                    uuid("run_id"),
                    integer("seq"),
                    text("node"),
                    text("path"),
                    integer("attempt"),
                    text("kind"),
                    json("data"),
                    timestamp("at"),
                ],
            )
            .key(&["run_id", "seq"])
            .append_only()
            .partitioned(PARTITIONS)
            // No step can be journalled twice, whoever tries.
            .unique("journal_steps", &["run_id", "node", "path", "attempt", "kind"]),
        )
        .create(
            Table::tenant(
                "run_queue",
                [
                    uuid("run_id"),
                    integer("priority"),
                    timestamp("ready_at"),
                    uuid("owner").null(),
                    integer("lease_epoch").default("0"),
                    timestamp("lease_until").null(),
                    integer("crashes").default("0"),
                    integer("signals").default("0"),
                ],
            )
            .key(&["run_id"])
            .seen_by_system()
            .index_with(Index::new("run_queue_ready", &["ready_at"]).across_tenants()),
        )
        .create(
            Table::tenant(
                "run_signals",
                [
                    uuid("id"),
                    uuid("run_id"),
                    text("node"),
                    text("kind"),
                    json("payload"),
                    timestamp("at"),
                ],
            )
            .index("run_signals_by_run", &["run_id"]),
        )
        .create(approvals())
}

fn runs() -> Table {
    Table::tenant(
        "runs",
        [
            uuid("id"),
            uuid("graph_id"),
            uuid("workflow_id").null(),
            integer("workflow_version").null(),
            text("workflow_name").null(),
            text("entry"),
            text("status").one_of(STATUSES),
            json("input"),
            json("output").null(),
            json("error").null(),
            json("response").null(),
            text("principal_kind"),
            uuid("principal_id"),
            text("behalf_kind").null(),
            uuid("behalf_id").null(),
            integer("priority").default("0"),
            uuid("correlation"),
            integer("work_ms").default("0"),
            timestamp("created_at"),
            timestamp("started_at").null(),
            timestamp("finished_at").null(),
        ],
    )
    .references("graph_id", "graphs")
    .seen_by_system()
    .index("runs_by_time", &["created_at", "id"])
    .index("runs_by_workflow", &["workflow_id", "created_at"])
    .index("runs_by_status", &["status", "created_at"])
}

fn approvals() -> Table {
    Table::tenant(
        "approvals",
        [
            uuid("id"),
            uuid("run_id"),
            text("node"),
            text("path"),
            text("title"),
            json("detail"),
            text("status").one_of(&["pending", "approved", "rejected", "expired", "cancelled"]),
            text("decided_by_kind").null(),
            uuid("decided_by_id").null(),
            timestamp("decided_at").null(),
            text("comment").null(),
            timestamp("deadline"),
            timestamp("created_at"),
        ],
    )
    .index("approvals_by_status", &["status", "created_at"])
    .index("approvals_by_run", &["run_id"])
}

pub fn entities() -> Vec<EntitySpec> {
    vec![
        EntitySpec::of(graph::Entity),
        EntitySpec::of(run::Entity),
        EntitySpec::of(journal::Entity),
        EntitySpec::of(queue::Entity),
        EntitySpec::of(slot::Entity),
        EntitySpec::of(start::Entity),
        EntitySpec::of(signal::Entity),
        EntitySpec::of(approval::Entity),
    ]
}
