//! Files of all kinds, good and bad.

use super::*;
use crate::model::{Priority, TaskStatus};
use crate::transfer::item::{Item, Level};

fn reads(text: &str) -> Read {
    read(
        text.as_bytes(),
        &Wanted {
            name: "file".to_owned(),
            ..Wanted::default()
        },
    )
    .expect("a file")
}

fn refuses(bytes: &[u8]) -> String {
    let error = read(bytes, &Wanted::default()).expect_err("refused");
    error.code().to_owned()
}

fn codes(read: &Read) -> Vec<(&str, &str, Level)> {
    let problems = read.reading.problems.items.iter();
    problems
        .map(|problem| (problem.at.as_str(), problem.code.as_str(), problem.level))
        .collect()
}

fn one<'a>(read: &'a Read, title: &str) -> &'a Item {
    read.reading
        .items
        .iter()
        .find(|item| item.title == title)
        .unwrap_or_else(|| panic!("no {title}: {read:?}"))
}

#[test]
fn tables_of_many_kinds_are_known() {
    for text in [
        "Title,Due Date,Priority\r\nA,2026-03-02,high\r\n",
        "\u{FEFF}title;due;priority\nA;02.03.2026;H\n",
        "Task\tDeadline\tImportance\nA\t2026-03-02\tp2\n",
        "name|due_date|priority\n\nA|2026/03/02|high\n",
    ] {
        let read = reads(text);
        let item = one(&read, "A");
        assert_eq!(read.format, Format::Csv);
        assert_eq!(
            item.due.map(|time| time.to_rfc3339()).as_deref(),
            Some("2026-03-02T00:00:00+00:00"),
            "{text}"
        );
        assert_eq!(item.priority, Some(Priority::High), "{text}");
        assert_eq!(codes(&read), [], "{text}");
    }
}

#[test]
fn what_is_wrong_with_a_table_is_told_by_line() {
    let text = "id,title,due,status,estimate,tags\n1,\"two\nlines\",soon,odd,1h,\"a, b\"\n2,,,,,\n3,good,2026-03-02,done,x,\n";
    let read = reads(text);
    assert_eq!(
        codes(&read),
        [
            ("line 2", "date", Level::Warning),
            ("line 2", "status", Level::Warning),
            ("line 4", "title_required", Level::Error),
            ("line 5", "number_of_minutes", Level::Warning),
        ]
    );
    let first = one(&read, "two lines");
    assert_eq!(
        (first.estimated, first.tags.as_deref()),
        (Some(60), Some(&["a".to_owned(), "b".to_owned()][..]))
    );
    assert_eq!(one(&read, "good").status, Some(TaskStatus::Done));
    let look = read.table.expect("a table");
    assert_eq!(look.columns[4].field, Field::EstimatedMinutes);
    assert_eq!(look.columns[4].sample, "1h");
}

#[test]
fn columns_can_be_named_and_long_texts_are_cut() {
    let columns = std::collections::BTreeMap::from([
        ("What".to_owned(), Field::Title),
        ("Title".to_owned(), Field::Ignore),
    ]);
    let wanted = Wanted {
        columns,
        ..Wanted::default()
    };
    let text = format!("What,Title\n{},x\n'=1+1,y\n", "a".repeat(600));
    let read = read(text.as_bytes(), &wanted).expect("a file");
    assert_eq!(read.reading.items[0].title.len(), 500);
    assert_eq!(
        read.reading.items[1].title, "=1+1",
        "our own mark against formulas"
    );
    assert_eq!(codes(&read), [("line 2", "cut", Level::Warning)]);
    let unknown = reads("What,Else\na,b\n");
    assert_eq!(codes(&unknown), [("line 1", "no_title_column", Level::Error)]);
    assert_eq!(
        unknown.table.expect("a table").columns[0].sample,
        "a",
        "shown, so that somebody can say"
    );
}

#[test]
fn hostile_files_are_answered_with_errors() {
    assert_eq!(refuses(b""), "unknown_format");
    assert_eq!(refuses(b"title\n\xff\xfe\xfd"), "not_utf8");
    assert_eq!(refuses(b"\xff\xfet\x00i\x00"), "not_utf8");
    assert_eq!(refuses(b"[]"), "unknown_format");
    assert_eq!(refuses(b"{\"a\": 1}"), "unknown_format");
    assert_eq!(refuses(b"[{\"number\": 1, \"title\": "), "malformed_file");
    let deep = format!(
        "[{{\"number\":1,\"title\":{}1{}}}]",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert!(["malformed_file", "unknown_format"].contains(&refuses_or_nothing(&deep).as_str()));
    let many = format!("title\n{}", "a\n".repeat(MAX_ITEMS + 1));
    assert_eq!(refuses(many.as_bytes()), "too_large");
    assert_eq!(refuses(&vec![b'a'; MAX_FILE + 1]), "too_large");
    // One odd entry does not take the others with it.
    let read = reads(r#"[{"number": 1, "title": "good"}, {"number": "one"}, 7, null]"#);
    assert_eq!(read.reading.items.len(), 1);
    assert_eq!(read.reading.problems.errors, 3);
    assert_eq!(read.reading.problems.items[0].at, "/1");
    // Nothing that a database cannot keep.
    assert_eq!(reads("title\na\0b\n").reading.items[0].title, "a b");
}

/// The code of a refusal; for a file that is read without a task, the word for its kind.
fn refuses_or_nothing(text: &str) -> String {
    match read(text.as_bytes(), &Wanted::default()) {
        Ok(read) if read.reading.items.is_empty() => "malformed_file".to_owned(),
        Ok(read) => panic!("read: {read:?}"),
        Err(error) => error.code().to_owned(),
    }
}

#[test]
fn issues_have_labels_milestones_and_states() {
    let read = reads(
        r#"[{"number": 7, "title": "Crash", "body": "It **crashes**", "state": "closed", "state_reason": "not_planned",
            "labels": [{"name": "bug"}, "old"], "assignee": {"login": "ada"}, "assignees": [{"login": "ada"}, {"login": "bob"}],
            "milestone": {"title": "v1", "due_on": "2026-03-02T08:00:00Z"}, "html_url": "https://github.com/acme/app/issues/7"},
           {"number": 8, "title": "Pull", "pull_request": {}}]"#,
    );
    let item = one(&read, "Crash");
    assert_eq!((read.format, item.key.as_str()), (Format::Github, "acme/app#7"));
    assert_eq!(
        (item.project.as_deref(), item.status),
        (Some("acme/app"), Some(TaskStatus::Cancelled))
    );
    assert_eq!(
        (item.tags.as_ref().map(Vec::len), item.assignee.as_deref()),
        (Some(2), Some("ada"))
    );
    assert_eq!(item.metadata["github"]["milestone"], "v1");
    assert!(item.due.is_some());
    assert_eq!(codes(&read), [("/1", "pull_request", Level::Warning)]);
}

#[test]
fn taskwarrior_brings_dependencies_rules_and_annotations() {
    let read = reads(
        r#"[{"uuid": "a", "description": "first", "status": "pending", "depends": ["b"], "priority": "H", "tags": ["x"],
             "annotations": [{"entry": "20260302T090000Z", "description": "note"}], "project": "home.garden"},
            {"uuid": "b", "description": "second", "status": "completed", "depends": "c,d", "due": "20260302T090000Z"},
            {"uuid": "p", "description": "rent", "status": "recurring", "recur": "monthly", "due": "20260301T000000Z"},
            {"uuid": "p1", "description": "rent", "status": "pending", "recur": "monthly", "parent": "p", "due": "20260401T000000Z"},
            {"uuid": "g", "description": "gone", "status": "deleted"},
            {"uuid": "l", "description": "lone", "status": "recurring", "recur": "odd", "due": "20260301T000000Z"}]"#,
    );
    assert_eq!(read.format, Format::Taskwarrior);
    let first = one(&read, "first");
    assert_eq!(
        (first.waits.as_slice(), first.priority),
        (&["b".to_owned()][..], Some(Priority::High))
    );
    assert_eq!(
        (first.notes.len(), first.project.as_deref()),
        (1, Some("home.garden"))
    );
    assert_eq!(one(&read, "second").waits, ["c", "d"]);
    assert_eq!(
        read.reading
            .items
            .iter()
            .filter(|item| item.title == "rent")
            .count(),
        1
    );
    assert!(one(&read, "rent").recurrence.is_some());
    let codes: Vec<&str> = read
        .reading
        .problems
        .items
        .iter()
        .map(|problem| problem.code.as_str())
        .collect();
    assert_eq!(codes, ["deleted", "recurrence"]);
    // One on each line.
    let lines =
        reads("{\"uuid\": \"a\", \"description\": \"one\"}\n{\"uuid\": \"b\", \"description\": \"two\"}\n");
    assert_eq!(
        (lines.format, lines.reading.items.len()),
        (Format::Taskwarrior, 2)
    );
}

#[test]
fn todoist_brings_trees_labels_and_rules() {
    let read = reads(
        "TYPE,CONTENT,DESCRIPTION,PRIORITY,INDENT,AUTHOR,RESPONSIBLE,DATE,DATE_LANG,TIMEZONE,DURATION,DURATION_UNIT\n\
         meta,view_style=list,,,,,,,,,,\nsection,Garden,,,,,,,,,,\n\
         task,Water plants @home,all of them,1,1,Ada (1),Bob (2),every day,en,,30,minute\n\
         note,remember the fern,,,,Ada (1),,2026-03-02,,,,\n\
         task,Fetch can,,4,2,,,2026-03-02,en,,,\n,,,,,,,,,,,\n",
    );
    assert_eq!(read.format, Format::TodoistCsv);
    let (water, fetch) = (one(&read, "Water plants"), one(&read, "Fetch can"));
    assert_eq!(water.tags.as_deref(), Some(&["home".to_owned()][..]));
    assert_eq!(
        (water.priority, water.assignee.as_deref()),
        (Some(Priority::Critical), Some("Bob"))
    );
    assert_eq!(
        (water.notes.len(), water.estimated, water.recurrence.is_some()),
        (1, Some(30), true)
    );
    assert_eq!(
        (fetch.parent.as_ref(), fetch.priority),
        (Some(&water.key), Some(Priority::Low))
    );
    assert_eq!(codes(&read), []);

    let read = reads(
        r#"{"items": [{"id": "1", "content": "A", "project_id": "9", "labels": ["x"], "priority": 4,
              "due": {"date": "2026-03-02", "string": "every mon", "is_recurring": true}, "responsible_uid": "5"},
             {"id": 2, "content": "B", "parent_id": "1", "checked": true, "priority": 1, "deadline": {"date": "2026-04-01"}}],
            "projects": [{"id": "9", "name": "Home"}], "collaborators": [{"id": "5", "full_name": "Ada"}],
            "notes": [{"id": "n", "item_id": "1", "content": "said", "posted_at": "2026-03-01T10:00:00Z"}]}"#,
    );
    assert_eq!(read.format, Format::Todoist);
    let (a, b) = (one(&read, "A"), one(&read, "B"));
    assert_eq!(
        (a.project.as_deref(), a.assignee.as_deref(), a.notes.len()),
        (Some("Home"), Some("Ada"), 1)
    );
    assert_eq!(
        (a.priority, a.recurrence.as_ref().map(|rule| rule.weekdays.len())),
        (Some(Priority::Critical), Some(1))
    );
    assert_eq!(
        (b.parent.as_deref(), b.status),
        (Some("1"), Some(TaskStatus::Done))
    );
}
