//! The writer of usage while the database is there, away, slow, or refuses.

use crate::service::entity;
use crate::service::migration::migrations;
use crate::service::usage::UsageRow;
use crate::service::usage::spill::Spill;
use crate::service::usage::writer::{BATCH, Figures, Ledger, Outlet, ROOM, Writer};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use synapscale_core::{Ctx, SYSTEM_TENANT, TenantId, new_id};
use synapscale_store::{Migrations, Scoped, Store};
use synapscale_testkit::{TestDb, db_test};
use tokio::sync::mpsc::channel;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// Longest wait for something that comes at once but on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// A writer at work.
struct Home {
    ledger: Ledger,
    figures: Arc<Figures>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Home {
    fn new(store: &Store, spill: Option<&Path>) -> Self {
        let spill = spill.map(|folder| Spill::open(folder, 1 << 24).expect("a spill"));
        let (sender, receiver) = channel(ROOM);
        let outlet = Arc::new(Outlet {
            spill,
            figures: Arc::default(),
        });
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let writer = Writer::new(store.clone(), outlet.clone(), receiver, stop.clone());
        tasks.spawn(writer.run());
        tasks.close();
        Home {
            figures: outlet.figures.clone(),
            ledger: Ledger::new(sender, outlet),
            stop,
            tasks,
        }
    }

    fn put(&self, rows: &[UsageRow]) {
        rows.iter().for_each(|row| self.ledger.put(row.clone()));
    }

    /// Waits until the figures say so.
    async fn until(&self, test: impl Fn(&Figures) -> bool) {
        let waiting = async {
            while !test(&self.figures) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let seen = tokio::time::timeout(SOON, waiting).await;
        seen.unwrap_or_else(|_| panic!("{:?}", self.figures));
    }

    async fn stop(&self) {
        self.stop.cancel();
        tokio::time::timeout(SOON, self.tasks.wait())
            .await
            .expect("stopped");
    }
}

fn rows(tenant: TenantId, count: usize) -> Vec<UsageRow> {
    (0..count).map(|_| UsageRow::sample(tenant)).collect()
}

fn tenants(count: usize) -> Vec<TenantId> {
    (0..count).map(|_| TenantId(new_id())).collect()
}

fn ids(rows: &[UsageRow]) -> HashSet<Uuid> {
    rows.iter().map(|row| row.id).collect()
}

/// The ids that stand, each as often as it does.
async fn standing(store: &Store, tenant: TenantId) -> Vec<Uuid> {
    let ctx = Ctx::system(store.clock().clone()).system_in(tenant);
    let read = store.read(&ctx, |tx| async move {
        tx.find::<entity::usage::Entity>().rows(&tx).await
    });
    read.await.expect("rows").into_iter().map(|row| row.id).collect()
}

async fn open(db: &TestDb) -> Store {
    db.open(&Migrations::new(migrations()), &entity::entities()).await
}

/// A database without the tables, which can be made later: it answers, and takes no row.
async fn without_tables(db: &TestDb) -> Store {
    let store = db.open_bare(&entity::entities()).await;
    Migrations::new([])
        .migrate(&store)
        .await
        .expect("the store's own tables");
    store
}

async fn make_tables(store: &Store) {
    let made = Migrations::new(migrations()).migrate(store).await;
    made.expect("migrated");
}

db_test! {
    async fn everything_stands_after_an_orderly_stop(db: TestDb) {
        let store = open(db).await;
        let home = Home::new(&store, None);
        let (one, two) = (TenantId(new_id()), TenantId(new_id()));
        let (many, few) = (rows(one, 2 * BATCH + 7), rows(two, 3));
        home.put(&many);
        home.put(&few);
        home.stop().await;
        for (tenant, put) in [(one, many), (two, few)] {
            let stand = standing(&store, tenant).await;
            assert_eq!(stand.len(), put.len());
            assert_eq!(stand.into_iter().collect::<HashSet<_>>(), ids(&put));
        }
        let figures = &home.figures;
        assert_eq!((figures.written(), figures.spilled(), figures.lost()), (2 * BATCH as u64 + 10, 0, 0));
    }

    async fn a_row_stands_soon_and_without_company(db: TestDb) {
        let store = open(db).await;
        let home = Home::new(&store, None);
        home.put(&rows(SYSTEM_TENANT, 1));
        home.until(|figures| figures.written() == 1).await;
        assert_eq!(standing(&store, SYSTEM_TENANT).await.len(), 1);
        home.stop().await;
    }

    async fn what_the_database_does_not_take_comes_back_once(db: TestDb) {
        let (store, folder) = (without_tables(db).await, db.folder().join("usage"));
        let tenants = tenants(40);
        let put: Vec<_> = tenants.iter().flat_map(|tenant| rows(*tenant, 3)).collect();
        let home = Home::new(&store, Some(&folder));
        home.put(&put);
        // One tenant's failure must not take the others' rows with it.
        home.until(|figures| figures.spilled() == put.len() as u64).await;
        home.stop().await;
        assert_eq!((home.figures.written(), home.figures.lost()), (0, 0));

        make_tables(&store).await;
        let files: Vec<_> = std::fs::read_dir(&folder).expect("a folder").collect();
        let kept = folder.join("usage-0.jsonl");
        assert!(kept.exists(), "{files:?}");
        let lines = std::fs::read(&kept).expect("a file");
        drop(home);
        let home = Home::new(&store, Some(&folder));
        home.until(|figures| figures.taken_back() == put.len() as u64).await;
        home.stop().await;
        for tenant in &tenants {
            assert_eq!(standing(&store, *tenant).await.len(), 3);
        }
        assert!(!kept.exists());
        drop(home);

        // The same file once more, as after a crash between the last insert and the file's end; and half of it new.
        let fresh = rows(tenants[0], 2);
        let more: Vec<u8> = fresh.iter().flat_map(|row| serde_json::to_vec(row).expect("JSON").into_iter().chain(*b"\n")).collect();
        std::fs::write(&kept, [lines, more].concat()).expect("written");
        let home = Home::new(&store, Some(&folder));
        home.until(|figures| figures.taken_back() > 0).await;
        home.stop().await;
        assert_eq!(standing(&store, tenants[0]).await.len(), 5);
        for tenant in &tenants[1..] {
            assert_eq!(standing(&store, *tenant).await.len(), 3);
        }
    }

    async fn a_row_that_is_refused_does_not_stand_in_the_way(db: TestDb) {
        let (store, folder) = (open(db).await, db.folder().join("usage"));
        let mut bad = UsageRow::sample(SYSTEM_TENANT);
        // PostgreSQL keeps no NUL in text; SQLite does.
        bad.model = "a\u{0}b".to_owned();
        let refused = u64::from(db.is_postgres());
        let put = [rows(SYSTEM_TENANT, 4), vec![bad.clone()], rows(SYSTEM_TENANT, 4)].concat();
        let home = Home::new(&store, Some(&folder));
        home.put(&put);
        home.until(|figures| figures.written() == 9 - refused).await;
        home.stop().await;
        let figures = &home.figures;
        assert_eq!((figures.lost(), figures.spilled()), (refused, 0));
        drop(home);

        // In the spill, too.
        bad.id = new_id();
        let rest = rows(SYSTEM_TENANT, 3);
        {
            let spill = Spill::open(&folder, 1 << 20).expect("a spill");
            spill.append(&[vec![bad], rest.clone()].concat()).expect("kept");
        }
        let home = Home::new(&store, Some(&folder));
        home.until(|figures| figures.taken_back() == 4 - refused).await;
        assert_eq!(home.figures.lost(), refused);
        home.stop().await;
        let stand: HashSet<_> = standing(&store, SYSTEM_TENANT).await.into_iter().collect();
        assert!(ids(&rest).is_subset(&stand));
        assert!(Spill::open(&folder, 1 << 20).expect("a spill").is_empty());
    }

    async fn what_came_after_the_writer_waits_on_disk(db: TestDb) {
        let (store, folder) = (open(db).await, db.folder().join("usage"));
        let home = Home::new(&store, Some(&folder));
        home.stop().await;
        home.put(&rows(SYSTEM_TENANT, 2));
        assert_eq!((home.figures.spilled(), home.figures.lost()), (2, 0));
        drop(home);
        let home = Home::new(&store, Some(&folder));
        home.until(|figures| figures.taken_back() == 2).await;
        home.stop().await;
        assert_eq!(standing(&store, SYSTEM_TENANT).await.len(), 2);
    }

    async fn a_long_spill_makes_way_and_all_of_it_comes_back(db: TestDb) {
        let (store, folder) = (open(db).await, db.folder().join("usage"));
        let old: Vec<_> = rows(SYSTEM_TENANT, 5 * BATCH);
        {
            let spill = Spill::open(&folder, 1 << 24).expect("a spill");
            spill.append(&old).expect("kept");
        }
        // Stopped in the middle, as likely as not; what is left is the next one's.
        let home = Home::new(&store, Some(&folder));
        home.put(&rows(SYSTEM_TENANT, 1));
        home.until(|figures| figures.written() == 1).await;
        home.stop().await;
        drop(home);
        let home = Home::new(&store, Some(&folder));
        let waiting = async {
            while standing(&store, SYSTEM_TENANT).await.len() < old.len() + 1 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(SOON, waiting).await.expect("all of them");
        home.stop().await;
        assert_eq!(standing(&store, SYSTEM_TENANT).await.len(), old.len() + 1);
    }

    async fn what_does_not_fit_the_channel_waits_on_disk(db: TestDb) {
        let (store, folder) = (open(db).await, db.folder().join("usage"));
        let put = rows(SYSTEM_TENANT, 10);
        let (sender, receiver) = channel(4);
        let spill = Spill::open(&folder, 1 << 20).expect("a spill");
        let outlet = Arc::new(Outlet { spill: Some(spill), figures: Arc::default() });
        let ledger = Ledger::new(sender, outlet.clone());
        put.iter().for_each(|row| ledger.put(row.clone()));
        assert_eq!((outlet.figures.spilled(), outlet.figures.lost()), (6, 0));
        let (stop, figures) = (CancellationToken::new(), outlet.figures.clone());
        let home = Home { ledger, figures, stop: stop.clone(), tasks: TaskTracker::new() };
        home.tasks.spawn(Writer::new(store.clone(), outlet, receiver, stop).run());
        home.tasks.close();
        home.until(|figures| figures.written() == 4 && figures.taken_back() == 6).await;
        home.stop().await;
        let stand = standing(&store, SYSTEM_TENANT).await;
        assert_eq!((stand.len(), stand.into_iter().collect::<HashSet<_>>()), (10, ids(&put)));
    }

    async fn without_a_spill_rows_are_given_up_and_counted(db: TestDb) {
        let store = without_tables(db).await;
        let home = Home::new(&store, None);
        home.put(&rows(SYSTEM_TENANT, 3));
        home.until(|figures| figures.lost() == 3).await;
        home.stop().await;
        assert_eq!((home.figures.written(), home.figures.spilled()), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_hangs_does_not_keep_the_server_from_stopping() {
    let db = TestDb::sqlite();
    let (store, folder) = (open(&db).await, db.folder().join("usage"));
    let (held, release) = (CancellationToken::new(), CancellationToken::new());
    let holders = TaskTracker::new();
    let holder = holders.spawn({
        let (store, held, release) = (store.clone(), held.clone(), release.clone());
        async move {
            let ctx = Ctx::system(store.clock().clone());
            // The only writing connection.
            let hold = store.write(&ctx, |_| {
                let (held, release) = (held.clone(), release.clone());
                async move {
                    held.cancel();
                    release.cancelled().await;
                    Ok(())
                }
            });
            hold.await
        }
    });
    held.cancelled().await;
    let home = Home::new(&store, Some(&folder));
    let put: Vec<_> = tenants(30)
        .into_iter()
        .flat_map(|tenant| rows(tenant, 2))
        .collect();
    home.put(&put);
    // Before the one who holds the connection is sent away.
    home.stop().await;
    assert_eq!((home.figures.spilled(), home.figures.lost()), (60, 0));
    release.cancel();
    holder.await.expect("no panic").expect("held");
}
