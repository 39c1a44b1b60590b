//! The database dies, halts, and runs out of disk, under load.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::verdict::Verdict;
use super::world::{Size, World};
use crate::support::postgres::Cluster;

const SIZE: Size = Size { users: 9, conversations: 9, seats: 4, says: 90, window: 4, pause: Duration::from_millis(8) };

/// PostgreSQL is killed so many times under load.
pub async fn database_killed(kills: usize) -> Verdict {
    let mut cluster = Cluster::start();
    let world = World::at(&cluster.database().await, &[], SIZE).await;
    let crowd = world.start(world.server.address);
    for kill in 1..=kills {
        crowd.until(crowd.says() * kill / (kills + 1)).await;
        tokio::task::block_in_place(|| cluster.kill9());
        tokio::time::sleep(Duration::from_millis(300)).await;
        tokio::task::block_in_place(|| cluster.restart());
    }
    world.close(crowd).await
}

/// PostgreSQL stands still for so long under load.
pub async fn database_halted(pause: Duration) -> Verdict {
    let cluster = Cluster::start();
    let world = World::at(&cluster.database().await, &[], SIZE).await;
    let crowd = world.start(world.server.address);
    crowd.until(crowd.says() / 2).await;
    cluster.stop_signal();
    tokio::time::sleep(pause).await;
    cluster.cont();
    world.close(crowd).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_killed_three_times_loses_doubles_and_mixes_up_nothing() {
    let verdict = database_killed(3).await;
    assert_eq!(verdict.faults, [], "{verdict:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_halts_for_ten_seconds_loses_nothing_and_hangs_nobody() {
    let verdict = database_halted(Duration::from_secs(10)).await;
    assert_eq!(verdict.faults, [], "{verdict:?}");
}

/// A small disk of its own, gone with this.
struct Disk(tempfile::TempDir);

impl Disk {
    fn small(megabytes: u32) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut mount = as_root("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={megabytes}m,mode=777"), "none"]).arg(folder.path());
        assert!(mount.status().expect("mount runs").success(), "mounting a tmpfs takes root");
        Self(folder)
    }

    /// Takes all that is free.
    fn fill(&self) {
        let full = Command::new("sh").args(["-c", "cat /dev/zero >filler 2>/dev/null"]).current_dir(&self.0).status();
        drop(full);
    }

    fn free(&self) {
        std::fs::remove_file(self.0.path().join("filler")).expect("it was filled");
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(as_root("umount").arg("-l").arg(self.0.path()).status());
    }
}

/// A command as root, by sudo where this process is not.
fn as_root(program: &str) -> Command {
    if std::fs::metadata("/proc/self").is_ok_and(|it| std::os::unix::fs::MetadataExt::uid(&it) == 0) {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.args(["-n", program]);
    command
}

/// The disk fills up when a part of the messages is said, for so long; `heal` is what the database needs when there is room again.
async fn disk_full(world: World, disk: &Disk, part: usize, pause: Duration, heal: impl FnOnce()) {
    let crowd = world.start(world.server.address);
    crowd.until(crowd.says() / part).await;
    disk.fill();
    tokio::time::sleep(pause).await;
    let held = crowd.concluded();
    assert!(held < crowd.says(), "the disk filled too late");
    assert_eq!(world.server.status("/healthz").await, Some(200));
    disk.free();
    heal();
    world.close_clean(crowd).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_sqlite_is_told_and_survived() {
    let disk = Disk::small(24);
    let url = format!("sqlite://{}?mode=rwc", disk.path().join("haggle.db").display());
    let world = World::at(&url, &[], Size { says: 600, pause: Duration::from_millis(4), ..SIZE }).await;
    disk_full(world, &disk, 4, Duration::from_secs(2), || ()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_postgres_is_told_and_survived() {
    let disk = Disk::small(128);
    let folder = disk.path().join("cluster");
    std::fs::create_dir(&folder).expect("a folder");
    let mut cluster = tokio::task::block_in_place(|| Cluster::start_in(folder));
    let size = Size { says: 1_200, window: 32, pause: Duration::from_millis(1), ..SIZE };
    let world = World::at(&cluster.database().await, &[], size).await;
    let heal = || {
        if !cluster.answers() {
            tokio::task::block_in_place(|| cluster.restart());
        }
    };
    disk_full(world, &disk, 10, Duration::from_secs(4), heal).await;
}
