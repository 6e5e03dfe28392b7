//! The log against a model of it, by long random histories: commits and undone writes, crashes and takeovers, poison, relays
//! that come and go, a stream that is lost. Whatever happened, each committed event has had its effect once, in its
//! subject's order, or is a dead letter.

use crate::events::NoteAdded;
use crate::groups::{Recorder, Rig, Via, group_of, tell_of};
use crate::streams::{connect, stream_of};
use crate::{somebody, texts};
use redis::AsyncCommands;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;
use synapscale_core::{Ctx, Error, NewEvent, Result, new_id};
use synapscale_testkit::TestDb;
use uuid::Uuid;

/// Steps of one history.
const STEPS: usize = 120;
/// What the histories follow from; a failure names its own.
const SEEDS: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xd1b5_4a32_d192_ed03];
/// The group.
const GROUP: &str = "model";

/// Numbers that are the same for the same seed (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).expect("small")
    }
}

/// What ought to have happened.
#[derive(Default)]
struct Model {
    next: i64,
    /// Committed numbers by the index of their workspace.
    committed: HashMap<usize, Vec<i64>>,
    poisoned: BTreeSet<i64>,
}

struct History {
    dice: Dice,
    model: Model,
    people: Vec<Ctx>,
    subjects: Vec<Uuid>,
    rigs: Vec<Rig>,
    recorder: std::sync::Arc<Recorder>,
    via: Via,
}

impl History {
    async fn begin(db: &TestDb, via: Via, seed: u64) -> Self {
        History {
            dice: Dice(seed),
            model: Model::default(),
            people: (0..3).map(|_| somebody()).collect(),
            subjects: (0..3).map(|_| new_id()).collect(),
            rigs: vec![Rig::over(db, via).await],
            recorder: Recorder::new(GROUP, &[]),
            via,
        }
    }

    async fn step(&mut self) {
        match self.dice.below(20) {
            0..=8 => self.tell().await,
            9 | 10 => self.undo().await,
            11..=15 => self.turn().await,
            16 => self.take_over().await,
            17 => {
                let number = self.model.next;
                self.model.poisoned.insert(number);
                self.recorder.poison(number);
                self.tell().await;
            }
            18 => self.restart_relay().await,
            _ => self.lose_stream().await,
        }
    }

    async fn tell(&mut self) {
        let number = self.model.next;
        self.model.next += 1;
        let who = self.dice.index(self.people.len());
        let subject = self.subjects[self.dice.index(self.subjects.len())];
        tell_of(&self.rigs[0].store, &self.people[who], subject, number).await;
        self.model.committed.entry(who).or_default().push(number);
    }

    /// A write that tells of something and then fails.
    async fn undo(&mut self) {
        let number = self.model.next;
        self.model.next += 1;
        let subject = self.subjects[0];
        let failed: Result<()> = self.rigs[0]
            .store
            .write(&self.people[0], |tx| async move {
                tx.emit(NewEvent::new("note", subject, &NoteAdded { number }));
                Err(Error::conflict("undone", "undone"))
            })
            .await;
        assert!(failed.is_err());
    }

    /// Any of the processes, the present holder or one that was: it may lose its lease and nothing else.
    async fn turn(&mut self) {
        let rig = &self.rigs[self.dice.index(self.rigs.len())];
        if let Err(error) = rig.turn(&group_of(&self.recorder)).await {
            assert_eq!(error.code(), "lease_lost", "{error}");
        }
    }

    /// The holder falls silent, and another process comes.
    async fn take_over(&mut self) {
        self.turn().await;
        self.rigs[0].expire(GROUP).await;
        let next = self.rigs[0].elsewhere();
        self.rigs.push(next);
        if self.rigs.len() > 3 {
            let mut gone = self.rigs.remove(1);
            gone.stop_relay().await;
        }
    }

    async fn restart_relay(&mut self) {
        let index = self.dice.index(self.rigs.len());
        self.rigs[index].stop_relay().await;
        self.rigs[index].start_relay();
    }

    async fn lose_stream(&mut self) {
        if self.via == Via::Redis {
            let stream = stream_of(&self.rigs[0].store).await;
            let _: () = connect().await.del(&stream).await.expect("lost");
        }
    }

    /// All that is left is handled by one last process; then nothing may be missing, double or out of order.
    async fn end(mut self, seed: u64) {
        let expected: usize = self.model.committed.values().map(Vec::len).sum();
        let wanted = expected - self.model.poisoned.len();
        self.take_over().await;
        let last = self.rigs.last().expect("a rig");
        for _ in 0..1000 {
            if let Err(error) = last.turn(&group_of(&self.recorder)).await {
                assert_eq!(error.code(), "lease_lost", "{error}");
            }
            if self.recorder.handled().len() >= wanted && self.dead().await == self.model.poisoned.len() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let handled = self.recorder.handled();
        assert_eq!(handled.len(), wanted, "history {seed:#x}");
        assert_eq!(self.dead().await, self.model.poisoned.len(), "history {seed:#x}");
        for subject in &self.subjects {
            let own = handled.iter().filter(|(of, _)| *of == format!("note:{subject}"));
            let numbers: Vec<i64> = own.map(|(_, number)| *number).collect();
            assert!(numbers.is_sorted(), "history {seed:#x}: {numbers:?}");
        }
        for (who, numbers) in &self.model.committed {
            let good = numbers
                .iter()
                .filter(|number| !self.model.poisoned.contains(number));
            let mut notes: Vec<String> = good.map(|number| format!("{GROUP} {number}")).collect();
            notes.sort();
            assert_eq!(
                texts(&last.store, &self.people[*who]).await,
                notes,
                "history {seed:#x}"
            );
        }
        for rig in &mut self.rigs {
            rig.stop_relay().await;
        }
    }

    async fn dead(&self) -> usize {
        let mut count = 0;
        for ctx in &self.people {
            let letters = self.rigs[0]
                .store
                .read(
                    ctx,
                    |tx| async move { tx.dead_letters(Some(GROUP), None, 200).await },
                )
                .await;
            count += letters.expect("read").len();
        }
        count
    }
}

log_test! {
    async fn each_history_ends_as_its_model_says(db: TestDb, via: Via) {
        let seed = SEEDS[usize::from(via == Via::Redis)] ^ u64::from(db.is_postgres());
        let mut history = History::begin(db, via, seed).await;
        for _ in 0..STEPS {
            history.step().await;
        }
        history.end(seed).await;
    }
}
