//! What every transport of the log owes its consumers, on each of them: order, at least once, one effect, no event
//! skipped, and nobody held up by a slow or a failing one.

use crate::events::{NoteAdded, read_all, tell};
use crate::{add_note, open, somebody, texts};
use async_trait::async_trait;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, QueryFilter};
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use synapscale_core::{Ctx, Error, NewEvent, Result, new_id};
use synapscale_store::events::{
    ABANDONED, Consumer, Consumers, Event, EventFilter, Group, MAX_ATTEMPTS, Turn,
};
use synapscale_store::{Redis, Relay, Store, Tx};
use synapscale_testkit::{TestDb, redis_url};
use tokio::sync::Notify;
use uuid::Uuid;

/// The groups' table, to make leases run out.
mod group {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "consumer_groups")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        pub lease_until: Option<DateTimeUtc>,
        pub seen_at: Option<DateTimeUtc>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The dead letters' table, to make them old.
mod letter {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "dead_letters")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub queued_at: Option<DateTimeUtc>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// How events get to their consumers.
#[derive(Clone, Copy, PartialEq)]
pub enum Via {
    Log,
    Redis,
}

/// A store and how events get to its consumers.
pub struct Rig {
    pub store: Store,
    relay: Option<Relay>,
    owner: Uuid,
    groups: tokio::sync::Mutex<HashMap<&'static str, Group>>,
}

impl Rig {
    pub async fn over(db: &TestDb, via: Via) -> Self {
        let store = open(db).await;
        if via == Via::Redis {
            store.attach_redis(Redis::new(&redis_url()).expect("a URL"));
        }
        Self::with(store)
    }

    pub fn with(store: Store) -> Self {
        Rig {
            relay: Relay::start(&store).expect("a relay"),
            store,
            owner: new_id(),
            groups: tokio::sync::Mutex::default(),
        }
    }

    /// The same log, as another process works on it.
    pub fn elsewhere(&self) -> Self {
        Self::with(self.store.clone())
    }

    /// Stops the relay, to begin again at once or later.
    pub async fn stop_relay(&mut self) {
        if let Some(relay) = self.relay.take() {
            relay.stop().await;
        }
    }

    pub fn start_relay(&mut self) {
        self.relay = Relay::start(&self.store).expect("a relay");
    }

    pub async fn turn(&self, consumer: &Arc<dyn Consumer>) -> Result<Turn> {
        let mut groups = self.groups.lock().await;
        let group = groups
            .entry(consumer.name())
            .or_insert_with(|| Group::new(&self.store, consumer.clone(), self.owner).expect("a group"));
        group.turn(Duration::from_millis(20)).await
    }

    /// Turns until the consumer has handled `wanted` events.
    pub async fn until(&self, consumer: &Arc<Recorder>, wanted: usize) {
        let group: Arc<dyn Consumer> = consumer.clone();
        for _ in 0..500 {
            self.turn(&group).await.expect("a turn");
            if consumer.handled().len() >= wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} of {wanted} events came", consumer.handled().len());
    }

    /// The group's holder is gone without a word, and its lease has run out.
    pub async fn expire(&self, name: &'static str) {
        self.gone_for(name, chrono::Duration::hours(1)).await;
    }

    /// Nobody has held the group for so long that nothing waits for it any more.
    pub async fn abandon(&self, name: &'static str) {
        self.gone_for(name, ABANDONED + chrono::Duration::hours(1)).await;
    }

    async fn gone_for(&self, name: &'static str, age: chrono::Duration) {
        let ctx = Ctx::system(self.store.clock().clone());
        let expired = self.store.write(&ctx, |tx| async move {
            let past = tx.ctx().clock().now() - age;
            let update = tx
                .update_as_system::<group::Entity>()?
                .col_expr(group::Column::LeaseUntil, Expr::val(past))
                .col_expr(group::Column::SeenAt, Expr::val(past))
                .filter(group::Column::Name.eq(name));
            tx.run_update(update).await
        });
        assert_eq!(expired.await.expect("written"), 1);
    }
}

/// What a recorder does with an event whose number is in its list.
#[derive(Clone, Copy)]
pub enum Fault {
    Fails,
    FailsOnce,
    Panics,
    Hangs,
}

/// Writes a note for each event, and remembers in which order they came.
pub struct Recorder {
    name: &'static str,
    faults: Mutex<HashMap<i64, Fault>>,
    handled: Arc<Mutex<Vec<(String, i64)>>>,
    tries: AtomicI64,
    pub hangs: Notify,
}

impl Recorder {
    pub fn new(name: &'static str, faults: &[(i64, Fault)]) -> Arc<Self> {
        Arc::new(Recorder {
            name,
            faults: Mutex::new(faults.iter().copied().collect()),
            handled: Arc::default(),
            tries: AtomicI64::new(0),
            hangs: Notify::new(),
        })
    }

    /// What was handled and committed, in order.
    pub fn handled(&self) -> Vec<(String, i64)> {
        self.handled.lock().expect("a lock").clone()
    }

    pub fn numbers(&self) -> Vec<i64> {
        self.handled().into_iter().map(|(_, number)| number).collect()
    }

    /// From now on the event of that number fails.
    pub fn poison(&self, number: i64) {
        self.faults.lock().expect("a lock").insert(number, Fault::Fails);
    }

    /// From now on the event of that number hangs.
    pub fn hang(&self, number: i64) {
        self.faults.lock().expect("a lock").insert(number, Fault::Hangs);
    }

    pub fn mend(&self) {
        self.faults.lock().expect("a lock").clear();
    }

    fn fault(&self, number: i64) -> Option<Fault> {
        let mut faults = self.faults.lock().expect("a lock");
        let fault = faults.get(&number).copied();
        if matches!(fault, Some(Fault::FailsOnce)) {
            faults.remove(&number);
        }
        fault
    }
}

#[async_trait]
impl Consumer for Recorder {
    fn name(&self) -> &'static str {
        self.name
    }

    fn filter(&self) -> EventFilter {
        EventFilter::parse("note.added").expect("kinds")
    }

    async fn handle(&self, tx: &Tx, event: &Event) -> Result<()> {
        let number = event.data["number"].as_i64().expect("a number");
        add_note(tx, &format!("{} {number}", self.name)).await?;
        if let Some(fault) = self.fault(number) {
            self.tries.fetch_add(1, Ordering::Relaxed);
            match fault {
                Fault::Fails | Fault::FailsOnce => return Err(Error::conflict("poison", "it never works")),
                Fault::Panics => panic!("on purpose"),
                Fault::Hangs => {
                    self.hangs.notify_one();
                    std::future::pending::<()>().await;
                }
            }
        }
        let (handled, subject) = (self.handled.clone(), event.subject.clone());
        tx.after_commit(move || handled.lock().expect("a lock").push((subject, number)));
        Ok(())
    }
}

/// Writes a test once and runs it over each database, by itself and with Redis between.
macro_rules! log_test {
    ($(async fn $name:ident($db:ident: TestDb, $via:ident: Via) $body:block)*) => {$(
        mod $name {
            use super::*;

            async fn body($db: &TestDb, $via: Via) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                body(&TestDb::sqlite(), Via::Log).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite_redis() {
                body(&TestDb::sqlite(), Via::Redis).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                let db = TestDb::postgres().await;
                body(&db, Via::Log).await;
                db.discard().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres_redis() {
                let db = TestDb::postgres().await;
                body(&db, Via::Redis).await;
                db.discard().await;
            }
        }
    )*};
}

pub async fn tell_of(store: &Store, ctx: &Ctx, subject: Uuid, number: i64) {
    let told = store.write(ctx, |tx| async move {
        tx.emit(NewEvent::new("note", subject, &NoteAdded { number }));
        Ok(())
    });
    told.await.expect("told");
}

pub fn group_of(consumer: &Arc<Recorder>) -> Arc<dyn Consumer> {
    consumer.clone()
}

log_test! {
    async fn each_subjects_events_come_in_order(db: TestDb, via: Via) {
        let rig = Rig::over(db, via).await;
        let subjects: Vec<Uuid> = (0..4).map(|_| new_id()).collect();
        let writers = subjects.iter().map(|subject| {
            let (store, ctx) = (rig.store.clone(), somebody());
            async move {
                for number in 0..25 {
                    tell_of(&store, &ctx, *subject, number).await;
                }
            }
        });
        let recorder = Recorder::new("order", &[(7, Fault::FailsOnce)]);
        futures::future::join(rig.until(&recorder, 100), futures::future::join_all(writers)).await;
        let handled = recorder.handled();
        assert_eq!(handled.len(), 100);
        for subject in subjects {
            let own = handled.iter().filter(|(of, _)| *of == format!("note:{subject}"));
            let numbers: Vec<i64> = own.map(|(_, number)| *number).collect();
            assert_eq!(numbers, (0..25).collect::<Vec<_>>());
        }
    }

    async fn what_failed_comes_again_before_later_events(db: TestDb, via: Via) {
        let rig = Rig::over(db, via).await;
        let ctx = somebody();
        for number in 0..5 {
            tell(&rig.store, &ctx, number).await;
        }
        let recorder = Recorder::new("again", &[(2, Fault::FailsOnce), (3, Fault::Panics)]);
        read_all(&rig.store, &ctx, None, 5).await;
        rig.until(&recorder, 4).await;
        assert_eq!(recorder.numbers(), [0, 1, 2, 4]);
        assert_eq!(recorder.tries.load(Ordering::Relaxed), 1 + MAX_ATTEMPTS);
        assert_eq!(texts(&rig.store, &ctx).await, ["again 0", "again 1", "again 2", "again 4"]);
    }

    async fn an_effect_happens_once_though_its_process_died(db: TestDb, via: Via) {
        let rig = Rig::over(db, via).await;
        let ctx = somebody();
        for number in 0..3 {
            tell(&rig.store, &ctx, number).await;
        }
        read_all(&rig.store, &ctx, None, 3).await;
        let dying = Recorder::new("once", &[(1, Fault::Hangs)]);
        let group = group_of(&dying);
        tokio::select! {
            _ = rig.turn(&group) => panic!("it hangs"),
            () = dying.hangs.notified() => {}
        }
        assert_eq!(dying.numbers(), [0]);
        // The group's place was never written, so that event 0 is delivered again, to whoever comes next.
        rig.expire("once").await;
        let heir = Recorder::new("once", &[]);
        let other = rig.elsewhere();
        other.until(&heir, 2).await;
        assert_eq!(heir.numbers(), [1, 2]);
        assert_eq!(texts(&rig.store, &ctx).await, ["once 0", "once 1", "once 2"]);
        assert!(!rig.turn(&group).await.expect("a turn").held);
    }

    async fn late_commits_are_not_skipped(db: TestDb, via: Via) {
        let rig = Rig::over(db, via).await;
        let (late, early) = (somebody(), somebody());
        let (stage, go) = (AtomicU8::new(0), Notify::new());
        let slow = rig.store.write(&late, |tx| {
            let (stage, go) = (&stage, &go);
            async move {
                tx.emit(NewEvent::new("note", new_id(), &NoteAdded { number: 1 }));
                add_note(&tx, "begun first").await?;
                stage.store(1, Ordering::SeqCst);
                go.notified().await;
                Ok(())
            }
        });
        let recorder = Recorder::new("late", &[]);
        let group = group_of(&recorder);
        let quick = async {
            while stage.load(Ordering::SeqCst) == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tell(&rig.store, &early, 2).await;
        };
        let watch = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            for _ in 0..3 {
                // On SQLite nobody can write, not even the group's lease, until the slow one is done.
                if db.is_postgres() {
                    rig.turn(&group).await.expect("a turn");
                }
            }
            go.notify_one();
        };
        let (slow, (), ()) = futures::join!(slow, quick, watch);
        slow.expect("written");
        rig.until(&recorder, 2).await;
        let mut numbers = recorder.numbers();
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2]);
    }

    async fn a_slow_group_holds_nobody_up_and_misses_nothing(db: TestDb, via: Via) {
        let rig = Rig::over(db, via).await;
        let ctx = somebody();
        let (quick, slow) = (Recorder::new("quick", &[]), Recorder::new("slow", &[]));
        rig.turn(&group_of(&slow)).await.expect("a turn");
        for number in 0..150 {
            tell(&rig.store, &ctx, number).await;
        }
        rig.until(&quick, 150).await;
        let groups = rig.store.read(&ctx, |tx| async move { tx.consumer_groups().await }).await.expect("groups");
        let slow_one = groups.iter().find(|group| group.name == "slow").expect("a group");
        assert_eq!((slow_one.waiting, slow_one.held), (150, true));
        assert!(slow_one.oldest_waiting.is_some());
        let quick_one = groups.iter().find(|group| group.name == "quick").expect("a group");
        assert_eq!(quick_one.waiting, 0);
        rig.until(&slow, 150).await;
        assert_eq!(slow.numbers(), (0..150).collect::<Vec<_>>());
        assert_eq!(quick.numbers(), slow.numbers());
    }

    async fn poison_is_set_aside_replayed_and_dropped(db: TestDb, via: Via) {
        let rig = Rig::over(db, via).await;
        let (ctx, stranger) = (somebody(), somebody());
        for number in 0..4 {
            tell(&rig.store, &ctx, number).await;
        }
        let recorder = Recorder::new("poison", &[(1, Fault::Fails), (2, Fault::Fails)]);
        rig.until(&recorder, 2).await;
        assert_eq!(recorder.numbers(), [0, 3]);
        assert_eq!(recorder.tries.load(Ordering::Relaxed), 2 * MAX_ATTEMPTS);
        let letters = |ctx: Ctx| {
            let store = rig.store.clone();
            async move { store.read(&ctx, |tx| async move { tx.dead_letters(Some("poison"), None, 10).await }).await.expect("letters") }
        };
        let dead = letters(ctx.clone()).await;
        assert_eq!(dead.len(), 2);
        assert!(letters(stranger.clone()).await.is_empty());
        assert!(dead[0].error.contains("it never works") && dead[0].attempts == MAX_ATTEMPTS, "{dead:?}");
        let kinds = EventFilter::parse("dead_letter.*").expect("kinds");
        let mut told = 0;
        for _ in 0..200 {
            told = rig.store.events_after(&ctx, None, &kinds, 10).await.expect("events").events.len();
            if told == 2 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(told, 2);

        let (first, second) = (dead[1].id, dead[0].id);
        let foreign = rig.store.write(&stranger, |tx| async move { tx.replay_dead_letters(&[first]).await });
        assert_eq!(foreign.await.expect_err("not theirs").code(), "not_found");
        // Asked for too early: it fails once more and stays.
        let replay = |id| rig.store.write(&ctx, move |tx| async move { tx.replay_dead_letters(&[id]).await });
        replay(first).await.expect("queued");
        rig.turn(&group_of(&recorder)).await.expect("a turn");
        let again = letters(ctx.clone()).await;
        assert!(again.len() == 2 && !again[1].queued && again[1].attempts == MAX_ATTEMPTS + 1, "{again:?}");
        recorder.mend();
        replay(first).await.expect("queued");
        rig.until(&recorder, 3).await;
        assert_eq!(recorder.numbers(), [0, 3, 1]);
        let dropped = rig.store.write(&ctx, |tx| async move { tx.drop_dead_letters(&[second]).await });
        dropped.await.expect("dropped");
        assert!(letters(ctx.clone()).await.is_empty());
        let gone = rig.store.write(&ctx, |tx| async move { tx.replay_dead_letters(&[second]).await }).await.expect_err("dropped");
        assert_eq!((gone.code(), gone.fields()[0].pointer.as_str()), ("not_found", "/ids/0"));
        assert_eq!(texts(&rig.store, &ctx).await, ["poison 0", "poison 1", "poison 3"]);
    }

    async fn a_letter_dropped_while_its_replay_waits_is_never_handled(db: TestDb, via: Via) {
        let rig = Rig::over(db, via).await;
        let ctx = somebody();
        for number in 0..2 {
            tell(&rig.store, &ctx, number).await;
        }
        let recorder = Recorder::new("dropped", &[(0, Fault::Fails), (1, Fault::Fails)]);
        let letters = || async { rig.store.read(&ctx, |tx| async move { tx.dead_letters(Some("dropped"), None, 10).await }).await.expect("letters") };
        for _ in 0..500 {
            rig.turn(&group_of(&recorder)).await.expect("a turn");
            if letters().await.len() == 2 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let (first, second) = (letters().await[1].id, letters().await[0].id);
        rig.store.write(&ctx, |tx| async move { tx.replay_dead_letters(&[first, second]).await }).await.expect("queued");
        assert!(letters().await.iter().all(|letter| letter.queued && letter.queued_until > Some(letter.at)));
        // The first one's replay hangs; meanwhile the second, which the same turn has read already, is dropped.
        recorder.hang(0);
        let group = group_of(&recorder);
        let turn = rig.turn(&group);
        let drop_it = async {
            recorder.hangs.notified().await;
            // On SQLite the hanging one has the writer until its time is over.
            rig.store.write(&ctx, |tx| async move { tx.drop_dead_letters(&[second]).await }).await.expect("dropped");
            recorder.mend();
        };
        let (turned, ()) = futures::join!(turn, drop_it);
        turned.expect("a turn");
        rig.turn(&group).await.expect("a turn");
        assert_eq!(recorder.numbers(), Vec::<i64>::new());
        assert_eq!(letters().await.len(), 1);
    }

    async fn replays_end_with_their_group_and_after_a_day(db: TestDb, via: Via) {
        let rig = Rig::over(db, via).await;
        let ctx = somebody();
        tell(&rig.store, &ctx, 0).await;
        let recorder = Recorder::new("ends", &[(0, Fault::Fails)]);
        let letters = || async { rig.store.read(&ctx, |tx| async move { tx.dead_letters(Some("ends"), None, 10).await }).await.expect("letters") };
        for _ in 0..500 {
            rig.turn(&group_of(&recorder)).await.expect("a turn");
            if letters().await.len() == 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let id = letters().await[0].id;
        let replay = || rig.store.write(&ctx, move |tx| async move { tx.replay_dead_letters(&[id]).await });
        replay().await.expect("queued");
        recorder.mend();
        let past = Ctx::system(rig.store.clock().clone());
        let aged = rig.store.write(&past, |tx| async move {
            let past = tx.ctx().clock().now() - chrono::Duration::hours(25);
            let update = tx.update_as_system::<letter::Entity>()?.col_expr(letter::Column::QueuedAt, Expr::val(past));
            tx.run_update(update).await
        });
        assert_eq!(aged.await.expect("aged"), 1);
        rig.turn(&group_of(&recorder)).await.expect("a turn");
        let left = letters().await;
        assert!(!left[0].queued && left[0].error.starts_with("replay_expired") && left[0].attempts == MAX_ATTEMPTS, "{left:?}");
        assert_eq!(recorder.numbers(), Vec::<i64>::new());
        rig.abandon("ends").await;
        assert_eq!(replay().await.expect_err("nobody there").code(), "consumer_gone");
        let groups = rig.store.read(&ctx, |tx| async move { tx.consumer_groups().await }).await.expect("groups");
        assert!(groups.iter().any(|group| group.name == "ends" && group.abandoned));
        // Whoever comes back is no longer abandoned.
        rig.turn(&group_of(&recorder)).await.expect("a turn");
        replay().await.expect("queued");
        rig.until(&recorder, 1).await;
    }

    async fn a_running_group_is_handed_over_at_once(db: TestDb, via: Via) {
        let rig = Rig::over(db, via).await;
        let ctx = somebody();
        let recorder = Recorder::new("handed", &[]);
        let start = || Consumers::start(&rig.store, vec![group_of(&recorder)]).expect("started");
        let first = start();
        tell(&rig.store, &ctx, 1).await;
        wait_for(&recorder, 1).await;
        first.stop().await;
        tell(&rig.store, &ctx, 2).await;
        let second = start();
        wait_for(&recorder, 2).await;
        second.stop().await;
        assert_eq!(recorder.numbers(), [1, 2]);
    }
}

async fn wait_for(recorder: &Recorder, wanted: usize) {
    for _ in 0..500 {
        if recorder.handled().len() >= wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{} of {wanted} events came", recorder.handled().len());
}
