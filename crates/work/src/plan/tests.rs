//! The plan without a database: names, places, what goes and comes back together.

use super::*;
use crate::patch::{TaskBody, TaskPatch};
use crate::undo::inverse;
use synapscale_core::new_id;

fn plan() -> Plan {
    Plan::empty(DateTime::<Utc>::UNIX_EPOCH, "user:test".to_owned())
}

fn patch(op: Op) -> TaskPatch {
    TaskPatch::of(op, None)
}

fn titled(title: &str) -> Option<TaskBody> {
    let title = Patch::Value(title.to_owned());
    Some(TaskBody {
        title,
        ..TaskBody::default()
    })
}

/// A project that stands.
fn project(plan: &mut Plan) -> Uuid {
    let id = new_id();
    let row = project::Model {
        tenant_id: Uuid::nil(),
        id,
        name: "P".to_owned(),
        description: None,
        status: "active".to_owned(),
        priority: "medium".to_owned(),
        tags: serde_json::json!([]),
        metadata: serde_json::json!({}),
        integration_ids: serde_json::json!({}),
        created_at: plan.now,
        updated_at: plan.now,
        created_by: "user:test".to_owned(),
        revision: 1,
        deleted_at: None,
        delete_group: None,
    };
    plan.hold_projects(vec![row]);
    id
}

/// A task that stands.
fn task(plan: &mut Plan, project_id: Uuid, parent_id: Option<Uuid>) -> Uuid {
    let id = new_id();
    let depth = parent_id.map_or(0, |parent| plan.tasks[&parent].after.depth + 1);
    let row = task::Model {
        tenant_id: Uuid::nil(),
        id,
        project_id,
        parent_id,
        title: "T".to_owned(),
        description: None,
        status: "todo".to_owned(),
        priority: "medium".to_owned(),
        priority_rank: 1,
        assignee: None,
        due_date: None,
        estimated_minutes: None,
        actual_minutes: None,
        tags: serde_json::json!([]),
        metadata: serde_json::json!({}),
        integration_ids: serde_json::json!({}),
        depth,
        blockers: 0,
        archived_at: None,
        scheduled_date: None,
        recurrence: None,
        indexed: 0,
        position: String::new(),
        follows_id: None,
        created_at: plan.now,
        updated_at: plan.now,
        created_by: "user:test".to_owned(),
        revision: 1,
        deleted_at: None,
        delete_group: None,
    };
    plan.hold_tasks(vec![row]);
    id
}

/// Marks a standing task as deleted before this plan.
fn deleted(plan: &mut Plan, id: Uuid, group: Uuid) {
    let now = plan.now;
    let row = plan.tasks.get_mut(&id).expect("a task");
    row.after.deleted_at = Some(now);
    row.after.delete_group = Some(group);
    row.before = Some(row.after.clone());
}

fn go(plan: &mut Plan, id: Uuid, parent: Option<Uuid>, project: Option<Uuid>) {
    let mut wanted = patch(Op::Update);
    wanted.parent_id = parent.map_or(Patch::Null, |id| Patch::Value(id.to_string()));
    wanted.project_id = project.map(|id| id.to_string());
    plan.relocate("/task_patches/0", id, &wanted);
    let now = plan.now;
    plan.tasks.get_mut(&id).expect("a task").touch(Op::Update, now);
}

fn codes(plan: &Plan) -> Vec<(&str, &str)> {
    plan.faults
        .iter()
        .map(|fault| (fault.pointer.as_str(), &*fault.code))
        .collect()
}

#[test]
fn names_are_known_once_made_and_only_once() {
    let mut plan = plan();
    let project = project(&mut plan);
    let make = |temp: &str, parent: Option<&str>| TaskPatch {
        temp_id: Some(temp.to_owned()),
        project_id: Some(project.to_string()),
        parent_id: parent.map_or(Patch::Absent, |name| Patch::Value(format!("temp:{name}"))),
        body: titled("t"),
        ..patch(Op::Create)
    };
    plan.create_task("/task_patches/0", &make("b", Some("a")));
    assert_eq!(codes(&plan), [("/task_patches/0/parent_id", "reference")]);
    plan.faults.clear();
    plan.create_task("/task_patches/1", &make("a", None));
    plan.create_task("/task_patches/2", &make("c", Some("a")));
    assert!(plan.faults.is_empty());
    assert_eq!(plan.tasks[&plan.temp_ids["c"]].after.depth, 1);
    plan.create_task("/task_patches/3", &make("c", None));
    assert_eq!(codes(&plan), [("/task_patches/3/temp_id", "duplicate")]);
}

#[test]
fn every_fault_of_a_patch_is_told() {
    let mut plan = plan();
    let mut bad = patch(Op::Create);
    bad.task_id = Some(new_id().to_string());
    plan.create_task("/task_patches/7", &bad);
    let found = [
        ("/task_patches/7/task_id", "unexpected"),
        ("/task_patches/7/project_id", "required"),
        ("/task_patches/7/body/title", "required"),
    ];
    assert_eq!(codes(&plan), found);
}

#[test]
fn moves_make_no_circle_and_stay_within_the_depth() {
    let mut plan = plan();
    let home = project(&mut plan);
    let chain = (0..6).fold(Vec::<Uuid>::new(), |mut chain, _| {
        let parent = chain.last().copied();
        chain.push(task(&mut plan, home, parent));
        chain
    });
    let other = task(&mut plan, home, None);
    go(&mut plan, chain[0], Some(chain[3]), None);
    go(&mut plan, chain[0], Some(chain[0]), None);
    go(&mut plan, chain[0], Some(other), None);
    let codes: Vec<_> = plan.faults.iter().map(|fault| &*fault.code).collect();
    assert_eq!(codes, ["cycle", "cycle", "too_deep"]);
    go(&mut plan, chain[3], Some(other), None);
    let depths: Vec<_> = chain.iter().map(|id| plan.tasks[id].after.depth).collect();
    assert_eq!(depths, [0, 1, 2, 1, 2, 3]);
}

#[test]
fn what_a_set_makes_and_deletes_leaves_nothing() {
    let mut plan = plan();
    let home = project(&mut plan);
    let mut wanted = patch(Op::Create);
    wanted.project_id = Some(home.to_string());
    wanted.body = titled("t");
    plan.create_task("/task_patches/0", &wanted);
    let id = plan.created[0];
    plan.delete_below("/task_patches/1/task_id", id);
    assert!(plan.faults.is_empty());
    assert_eq!(plan.tasks[&id].op, None);
    assert_eq!(inverse(&plan).expect("inverse"), PatchSet::default());
}

#[test]
fn what_comes_back_stands_where_its_parent_stands_now() {
    let mut plan = plan();
    let (old, new) = (project(&mut plan), project(&mut plan));
    let top = task(&mut plan, old, None);
    let (child, group) = (task(&mut plan, old, Some(top)), new_id());
    deleted(&mut plan, child, group);
    let above = task(&mut plan, new, None);
    go(&mut plan, top, Some(above), None);
    assert_eq!(plan.tasks[&child].after.depth, 1);
    plan.lift("/task_patches/1/task_id", group);
    assert!(plan.faults.is_empty());
    let row = &plan.tasks[&child];
    assert_eq!(
        (row.after.project_id, row.after.depth, row.op),
        (new, 2, Some(Op::Restore))
    );
    assert!(row.whole());
}

#[test]
fn nothing_comes_back_below_what_is_deleted() {
    let mut plan = plan();
    let home = project(&mut plan);
    let (gone, here) = (task(&mut plan, home, None), task(&mut plan, home, None));
    let (first, second) = (
        task(&mut plan, home, Some(gone)),
        task(&mut plan, home, Some(here)),
    );
    let group = new_id();
    deleted(&mut plan, first, group);
    deleted(&mut plan, second, group);
    deleted(&mut plan, gone, new_id());
    plan.lift("/task_patches/0/task_id", group);
    assert_eq!(codes(&plan), [("/task_patches/0/task_id", "parent_deleted")]);
}

#[test]
fn restoring_and_changing_is_one_restore_and_then_no_delete() {
    let mut plan = plan();
    let home = project(&mut plan);
    let (id, group) = (task(&mut plan, home, None), new_id());
    deleted(&mut plan, id, group);
    plan.lift("/task_patches/0/task_id", group);
    let now = plan.now;
    let row = plan.tasks.get_mut(&id).expect("a task");
    assert!(!row.whole());
    row.after.title = "other".to_owned();
    row.touch(Op::Update, now);
    assert_eq!(
        (row.op, row.after.revision, row.whole()),
        (Some(Op::Restore), 2, true)
    );
    plan.delete_below("/task_patches/1/task_id", id);
    assert_eq!(codes(&plan), [("/task_patches/1/task_id", "restored_in_set")]);
}

#[test]
fn undo_brings_a_task_back_to_its_project() {
    let mut plan = plan();
    let (old, new) = (project(&mut plan), project(&mut plan));
    let id = task(&mut plan, old, None);
    go(&mut plan, id, None, Some(new));
    assert_eq!(plan.tasks[&id].after.project_id, new);
    let undo = inverse(&plan).expect("inverse");
    let [only] = undo.task_patches.as_slice() else {
        panic!("one patch: {undo:?}");
    };
    assert_eq!(only.project_id, Some(old.to_string()));
    assert_eq!((&only.parent_id, only.expected_revision), (&Patch::Null, Some(2)));
}

#[test]
fn undo_goes_from_the_top_of_the_old_trees_downwards() {
    let mut plan = plan();
    let home = project(&mut plan);
    // The child is older than its parent, so that the order of ids is not the order of the tree.
    let (child, parent) = (task(&mut plan, home, None), task(&mut plan, home, None));
    let row = plan.tasks.get_mut(&child).expect("a task");
    (row.after.parent_id, row.after.depth) = (Some(parent), 1);
    row.before = Some(row.after.clone());
    go(&mut plan, child, None, None);
    go(&mut plan, parent, Some(child), None);
    assert!(plan.faults.is_empty());
    let undo = inverse(&plan).expect("inverse");
    let order: Vec<_> = undo
        .task_patches
        .iter()
        .map(|patch| patch.task_id.clone())
        .collect();
    assert_eq!(order, [Some(parent.to_string()), Some(child.to_string())]);
}

#[test]
fn only_sets_that_change_a_tree_wait_for_its_lock() {
    let set = |patch| PatchSet {
        task_patches: vec![patch],
        ..PatchSet::default()
    };
    assert!(!reshapes(&set(patch(Op::Create))));
    assert!(!reshapes(&set(patch(Op::Update))));
    assert!(reshapes(&set(patch(Op::Delete))));
    let mut moves = patch(Op::Update);
    moves.parent_id = Patch::Null;
    assert!(reshapes(&set(moves)));
}
