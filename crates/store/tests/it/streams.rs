//! The log over Redis: what is in the stream is the log, and Redis emptied, cut off or started anew loses nothing.

use crate::events::{read_all, tell};
use crate::groups::{Fault, Recorder, Rig, Via, group_of};
use crate::{open, somebody};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use schemars::JsonSchema;
use serde::Serialize;
use std::time::Duration;
use synapscale_core::{Ctx, EventPayload, NewEvent, new_id};
use synapscale_store::events::EventFilter;
use synapscale_store::{Redis, Relay, Scoped, Store};
use synapscale_testkit::{Proxy, db_test, redis_url};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

/// The row that names the log.
mod log {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "event_log")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What no group of these tests wants.
#[derive(Serialize, JsonSchema)]
struct Noise {}

impl EventPayload for Noise {
    const KIND: &'static str = "note.noise";
    const ABOUT: &'static str = "Something happened that nobody waits for.";
}

pub async fn connect() -> MultiplexedConnection {
    let client = redis::Client::open(redis_url()).expect("a URL");
    client
        .get_multiplexed_async_connection()
        .await
        .expect("connected")
}

/// The stream's name.
pub async fn stream_of(store: &Store) -> String {
    let ctx = Ctx::system(store.clock().clone());
    let row = store
        .read(&ctx, |tx| async move {
            tx.find_as_system::<log::Entity>()?.row(&tx).await
        })
        .await;
    let id = row.expect("read").expect("a log").id;
    format!("synapscale:{{{}}}:events", id.simple())
}

/// The ids of the entries and of their events.
async fn entries(stream: &str) -> Vec<(String, String)> {
    let raw: Vec<(String, Vec<(String, String)>)> = redis::cmd("XRANGE")
        .arg(stream)
        .arg("-")
        .arg("+")
        .query_async(&mut connect().await)
        .await
        .expect("entries");
    let event = |fields: &[(String, String)]| {
        let json: serde_json::Value = serde_json::from_str(&fields[0].1).expect("JSON");
        json["event"]["id"].as_str().expect("an id").to_owned()
    };
    raw.into_iter().map(|(id, fields)| (id, event(&fields))).collect()
}

/// The ids of the log's own events.
async fn logged(store: &Store) -> Vec<String> {
    let ctx = Ctx::system(store.clock().clone());
    let all = store
        .events_after(&ctx, None, &EventFilter::default(), 1000)
        .await;
    all.expect("events")
        .events
        .iter()
        .map(|event| event.id.to_string())
        .collect()
}

/// Waits until the stream holds what `wanted` says of it.
async fn until(stream: &str, what: &str, wanted: impl Fn(&[(String, String)]) -> bool) {
    for _ in 0..300 {
        if wanted(&entries(stream).await) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the stream never held {what}: {:?}", entries(stream).await);
}

/// Tells events until the stream ends with the last of them. A group that has read the log itself may be ahead of the copier,
/// which then has nothing to begin a new stream with until more happens.
async fn goes_on(store: &Store, ctx: &Ctx, stream: &str) {
    for number in 1000..1100 {
        tell(store, ctx, number).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let last = logged(store).await.pop();
        if entries(stream).await.pop().map(|entry| entry.1) == last {
            return;
        }
    }
    panic!("the stream never went on: {:?}", entries(stream).await);
}

/// Keeps the stream from being trimmed: a group that was given everything and settles nothing.
async fn hold(stream: &str) {
    let mut redis = connect().await;
    let _: redis::Value = redis::cmd("XGROUP")
        .arg(&["CREATE", stream, "holds", "0", "MKSTREAM"])
        .query_async(&mut redis)
        .await
        .expect("a group");
}

db_test! {
    async fn a_relay_that_starts_again_neither_doubles_nor_skips(db: TestDb) {
        let mut rig = Rig::over(db, Via::Redis).await;
        let ctx = somebody();
        let stream = stream_of(&rig.store).await;
        rig.turn(&group_of(&Recorder::new("first", &[]))).await.expect("a turn");
        hold(&stream).await;
        for number in 0..10 {
            tell(&rig.store, &ctx, number).await;
        }
        until(&stream, "ten events", |entries| entries.len() == 10).await;
        rig.stop_relay().await;
        for number in 10..20 {
            tell(&rig.store, &ctx, number).await;
        }
        rig.start_relay();
        // Two more at the same time: appends go through only where they belong.
        let others = [Rig::with(rig.store.clone()), Rig::with(rig.store.clone())];
        for number in 20..60 {
            tell(&rig.store, &ctx, number).await;
        }
        until(&stream, "sixty events", |entries| entries.len() == 60).await;
        let (held, all) = (entries(&stream).await, logged(&rig.store).await);
        let from = all.iter().position(|id| *id == held[0].1).expect("the first");
        assert_eq!(held.iter().map(|entry| entry.1.clone()).collect::<Vec<_>>(), all[from..]);
        drop(others);
    }

    async fn what_a_dead_holder_did_ahead_of_its_place_is_not_done_again(db: TestDb) {
        let store = open(db).await;
        let (rig, ctx) = (Rig::with(store.clone()), somebody());
        tell(&store, &ctx, 0).await;
        // More than one look at the stream takes, and nothing to the group: the log gives it what lies behind at once.
        for _ in 0..250 {
            let made = store.write(&ctx, |tx| async move {
                tx.emit(NewEvent::new("note", new_id(), &Noise {}));
                Ok(())
            });
            made.await.expect("told");
        }
        tell(&store, &ctx, 1).await;
        tell(&store, &ctx, 2).await;
        read_all(&store, &ctx, None, 253).await;
        let dying = Recorder::new("ahead", &[(2, Fault::Hangs)]);
        let group = group_of(&dying);
        tokio::select! {
            _ = rig.turn(&group) => panic!("it hangs"),
            () = dying.hangs.notified() => {}
        }
        assert_eq!(dying.numbers(), [0, 1]);
        rig.expire("ahead").await;
        store.attach_redis(Redis::new(&redis_url()).expect("a URL"));
        let heir = Recorder::new("ahead", &[]);
        Rig::with(store.clone()).until(&heir, 1).await;
        assert_eq!(heir.numbers(), [2]);
    }

    async fn redis_emptied_loses_nothing(db: TestDb) {
        let rig = Rig::over(db, Via::Redis).await;
        let ctx = somebody();
        let stream = stream_of(&rig.store).await;
        let recorder = Recorder::new("emptied", &[(13, Fault::FailsOnce)]);
        for number in 0..10 {
            tell(&rig.store, &ctx, number).await;
        }
        rig.until(&recorder, 10).await;
        let _: () = connect().await.del(&stream).await.expect("emptied");
        for number in 10..20 {
            tell(&rig.store, &ctx, number).await;
        }
        rig.until(&recorder, 20).await;
        let _: () = connect().await.del(&stream).await.expect("emptied");
        for number in 20..30 {
            tell(&rig.store, &ctx, number).await;
        }
        rig.until(&recorder, 30).await;
        assert_eq!(recorder.numbers(), (0..30).collect::<Vec<_>>());
        goes_on(&rig.store, &ctx, &stream).await;
    }

    async fn a_stream_of_another_past_is_made_anew(db: TestDb) {
        let rig = Rig::with(open(db).await);
        let stream = stream_of(&rig.store).await;
        let mut redis = connect().await;
        let _: String = redis::cmd("XADD")
            .arg(&[&stream, "99999999999-7", "event", "{}", "after", "0-0"])
            .query_async(&mut redis)
            .await
            .expect("a strange entry");
        rig.store.attach_redis(Redis::new(&redis_url()).expect("a URL"));
        let rig = Rig::with(rig.store.clone());
        let recorder = Recorder::new("restored", &[]);
        let ctx = somebody();
        for number in 0..5 {
            tell(&rig.store, &ctx, number).await;
        }
        rig.until(&recorder, 5).await;
        assert_eq!(recorder.numbers(), [0, 1, 2, 3, 4]);
        goes_on(&rig.store, &ctx, &stream).await;
    }

    async fn events_of_a_past_that_was_undone_are_not_handled(db: TestDb) {
        let mut rig = Rig::over(db, Via::Redis).await;
        let ctx = somebody();
        let stream = stream_of(&rig.store).await;
        let recorder = Recorder::new("undone", &[]);
        rig.turn(&group_of(&recorder)).await.expect("a turn");
        for number in 0..3 {
            tell(&rig.store, &ctx, number).await;
        }
        rig.until(&recorder, 3).await;
        let last = logged(&rig.store).await.pop().expect("an event");
        until(&stream, "the last event", |entries| entries.last().is_some_and(|entry| entry.1 == last)).await;
        rig.stop_relay().await;
        // What was written after the copy that the database was restored from: Redis has it, and the log has not.
        let mut redis = connect().await;
        let raw: Vec<(String, Vec<String>)> = redis::cmd("XREVRANGE")
            .arg(&[&stream, "+", "-", "COUNT", "1"])
            .query_async(&mut redis)
            .await
            .expect("entries");
        let (last, fields) = raw.into_iter().next().expect("the last entry");
        let mut wire: serde_json::Value = serde_json::from_str(&fields[1]).expect("JSON");
        wire["event"]["id"] = new_id().to_string().into();
        wire["event"]["data"]["number"] = 99.into();
        let (first, second) = last.split_once('-').expect("two numbers");
        let next = format!("{first}-{}", second.parse::<i64>().expect("a number") + 1);
        let _: String = redis::cmd("XADD")
            .arg(&[&stream, &next, "event", &wire.to_string(), "after", &last])
            .query_async(&mut redis)
            .await
            .expect("an entry");
        rig.expire("undone").await;
        let heir = Rig::with(rig.store.clone());
        for _ in 0..10 {
            heir.turn(&group_of(&recorder)).await.expect("a turn");
        }
        assert_eq!(recorder.numbers(), [0, 1, 2]);
        for number in 3..6 {
            tell(&heir.store, &ctx, number).await;
        }
        heir.until(&recorder, 6).await;
        assert_eq!(recorder.numbers(), [0, 1, 2, 3, 4, 5]);
        let last = logged(&heir.store).await.pop().expect("an event");
        until(&stream, "the log again", |entries| entries.last().is_some_and(|entry| entry.1 == last)).await;
    }

    async fn a_group_that_nobody_reads_does_not_keep_the_stream_for_ever(db: TestDb) {
        let store = open(db).await;
        store.attach_redis(Redis::new(&redis_url()).expect("a URL"));
        let stream = stream_of(&store).await;
        hold(&stream).await;
        let relay = Relay::start_with(&store, Duration::from_secs(3)).expect("a relay");
        let (rig, ctx) = (Rig::with(store), somebody());
        let recorder = Recorder::new("reads", &[]);
        for number in 0..10 {
            tell(&rig.store, &ctx, number).await;
        }
        rig.until(&recorder, 10).await;
        until(&stream, "its last entry alone", |entries| entries.len() == 1).await;
        let groups: Vec<std::collections::HashMap<String, redis::Value>> = redis::cmd("XINFO")
            .arg(&["GROUPS", &stream])
            .query_async(&mut connect().await)
            .await
            .expect("groups");
        assert!(groups.len() <= 1, "{groups:?}");
        tell(&rig.store, &ctx, 10).await;
        rig.until(&recorder, 11).await;
        assert_eq!(recorder.numbers(), (0..11).collect::<Vec<_>>());
        relay.expect("Redis").stop().await;
    }

    async fn redis_cut_off_slows_and_loses_nothing(db: TestDb) {
        let server = redis_url();
        let proxy = Proxy::to(server.trim_start_matches("redis://")).await;
        let redis = Redis::new(&format!("redis://{}", proxy.address())).expect("a URL");
        let store = open(db).await;
        store.attach_redis(redis);
        let rig = Rig::with(store);
        let ctx = somebody();
        let stream = stream_of(&rig.store).await;
        let recorder = Recorder::new("cut", &[]);
        for number in 0..5 {
            tell(&rig.store, &ctx, number).await;
        }
        rig.until(&recorder, 5).await;
        proxy.cut();
        for number in 5..10 {
            tell(&rig.store, &ctx, number).await;
        }
        rig.until(&recorder, 10).await;
        proxy.mend();
        for number in 10..15 {
            tell(&rig.store, &ctx, number).await;
        }
        rig.until(&recorder, 15).await;
        assert_eq!(recorder.numbers(), (0..15).collect::<Vec<_>>());
        goes_on(&rig.store, &ctx, &stream).await;
    }

    async fn trimming_stops_at_the_oldest_pending_entry(db: TestDb) {
        let rig = Rig::over(db, Via::Redis).await;
        let ctx = somebody();
        let stream = stream_of(&rig.store).await;
        hold(&stream).await;
        let recorder = Recorder::new("trims", &[]);
        rig.turn(&group_of(&recorder)).await.expect("a turn");
        for number in 0..10 {
            tell(&rig.store, &ctx, number).await;
        }
        until(&stream, "ten events", |entries| entries.len() == 10).await;
        let mut redis = connect().await;
        let given: redis::Value = redis::cmd("XREADGROUP")
            .arg(&["GROUP", "holds", "somebody", "COUNT", "3", "STREAMS", &stream, ">"])
            .query_async(&mut redis)
            .await
            .expect("entries");
        assert!(!matches!(given, redis::Value::Nil));
        rig.until(&recorder, 10).await;
        let first_three = entries(&stream).await;
        // It acknowledges the first of its three: that one goes, the other two and all behind them stay.
        let _: u64 = redis.xack_of(&stream, &first_three[0].0).await;
        until(&stream, "all but the first", |entries| entries.len() == 9).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(entries(&stream).await, first_three[1..]);
        for entry in &first_three[1..3] {
            let _: u64 = redis.xack_of(&stream, &entry.0).await;
        }
        until(&stream, "what was never given", |entries| entries.len() <= 8).await;
        tell(&rig.store, &ctx, 10).await;
        rig.until(&recorder, 11).await;
        assert_eq!(recorder.numbers(), (0..11).collect::<Vec<_>>());
        // The group did read the stream, and owes it nothing.
        let pending: (u64, redis::Value, redis::Value, redis::Value) = redis::cmd("XPENDING")
            .arg(&[&stream, "trims"])
            .query_async(&mut redis)
            .await
            .expect("a group");
        assert_eq!(pending.0, 0);
    }
}

/// One acknowledgement.
trait Acknowledge {
    async fn xack_of(&mut self, stream: &str, id: &str) -> u64;
}

impl Acknowledge for MultiplexedConnection {
    async fn xack_of(&mut self, stream: &str, id: &str) -> u64 {
        redis::cmd("XACK")
            .arg(&[stream, "holds", id])
            .query_async(self)
            .await
            .expect("acknowledged")
    }
}

/// Answers as a Redis of 2018: it has streams, and knows no XAUTOCLAIM.
async fn old_server(listener: TcpListener) {
    let (socket, _) = listener.accept().await.expect("a client");
    let mut socket = BufReader::new(socket);
    loop {
        let mut words = Vec::new();
        let mut line = String::new();
        if socket.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        let count: usize = line.trim().trim_start_matches('*').parse().expect("a count");
        for _ in 0..count {
            line.clear();
            socket.read_line(&mut line).await.expect("a length");
            line.clear();
            socket.read_line(&mut line).await.expect("a word");
            words.push(line.trim().to_uppercase());
        }
        let answer = match words[0].as_str() {
            "INFO" => "$21\r\nredis_version:5.0.7\r\n\r\n".to_owned(),
            "COMMAND" => {
                let known = |word: &String| match word.as_str() {
                    "XAUTOCLAIM" => "*-1\r\n".to_owned(),
                    _ => format!("*1\r\n${}\r\n{word}\r\n", word.len()),
                };
                format!(
                    "*{}\r\n{}",
                    words.len() - 2,
                    words[2..].iter().map(known).collect::<String>()
                )
            }
            _ => "+OK\r\n".to_owned(),
        };
        socket.write_all(answer.as_bytes()).await.expect("answered");
    }
}

#[tokio::test]
async fn a_server_too_old_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("redis://{}", listener.local_addr().expect("an address"));
    let redis = Redis::new(&url).expect("a URL");
    let (checked, ()) = tokio::select! {
        checked = redis.check() => (checked, ()),
        () = old_server(listener) => panic!("it hung up"),
    };
    let error = checked.expect_err("too old");
    assert_eq!(error.code(), "redis_too_old");
    assert!(
        error.message().contains("5.0.7") && error.message().contains("XAUTOCLAIM"),
        "{error}"
    );
}

#[tokio::test]
async fn a_good_server_tells_its_version_and_bad_urls_are_refused() {
    let redis = Redis::new(&redis_url()).expect("a URL");
    assert!(redis.check().await.expect("a version").contains('.'));
    for bad in ["", "localhost:6379", "http://localhost", "redis://"] {
        assert!(
            Redis::new(bad).is_err_and(|error| error.code() == "invalid"),
            "{bad}"
        );
    }
    let nobody = Redis::new("redis://127.0.0.1:1").expect("a URL");
    assert_eq!(nobody.check().await.expect_err("down").code(), "redis_down");
}
