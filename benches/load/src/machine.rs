//! What the kernel says of processes and of the machine.
//!
//! What lives here: reading `/proc`, pinning, how fast the disk commits. What must not: what is done with the figures.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Outcome;

/// The CPU of the server and its database; the generator has the other.
const SERVER_CPU: &str = "0";
/// The CPU of the generator.
const OWN_CPU: &str = "1";
/// Clock ticks a second in `/proc`: the same on every Linux.
const TICKS: u64 = 100;

/// Puts this process on the generator's CPU. With one CPU everything shares it.
pub(crate) fn pin_self() -> Outcome<()> {
    if cpus() < 2 {
        note!("only one CPU: the generator shares it with the server, and the figures say little");
        return Ok(());
    }
    let pinned = Command::new("taskset").args(["-acp", OWN_CPU, &std::process::id().to_string()]).output()?;
    if pinned.status.success() { Ok(()) } else { Err("taskset could not pin the generator".into()) }
}

/// A command on the servers' CPU that gets this signal when this process ends, however it does.
pub(crate) fn beside(signal: &str, user: Option<&str>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", signal]);
    if let Some(user) = user {
        command.args(["--reuid", user, "--regid", user, "--clear-groups"]);
    }
    command.args(["taskset", "-c", SERVER_CPU]);
    command
}

/// How many CPUs there are.
pub(crate) fn cpus() -> usize {
    fs::read_to_string("/proc/cpuinfo").map_or(1, |text| text.matches("processor\t").count())
}

/// The CPU time that a process, its threads and its children have used.
pub(crate) fn cpu(root: u32) -> Duration {
    let ticks = tree(root).into_iter().filter_map(stat).map(|stat| stat.ticks).sum::<u64>()
        + stat(root).map_or(0, |stat| stat.children_ticks);
    Duration::from_millis(ticks * 1_000 / TICKS)
}

/// The memory in use by a process and its children, in KB.
pub(crate) fn rss_kb(root: u32) -> u64 {
    let rss = |process: u32| {
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()
    };
    tree(root).into_iter().filter_map(rss).sum()
}

struct Stat {
    parent: u32,
    ticks: u64,
    children_ticks: u64,
}

fn stat(process: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Stat {
        parent: u32::try_from(field(1)?).ok()?,
        ticks: field(11)? + field(12)?,
        children_ticks: field(13)? + field(14)?,
    })
}

fn tree(root: u32) -> Vec<u32> {
    let listed = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = listed.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents: Vec<(u32, u32)> = processes.filter_map(|process| Some((process, stat(process)?.parent))).collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(process, _)| *process));
        next += 1;
    }
    found
}

/// How many of these ports on this side still have an open connection to the server.
pub(crate) fn established(server: u16, clients: &[u16]) -> usize {
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let port = |address: &str| u16::from_str_radix(address.split_once(':')?.1, 16).ok();
    let open = table.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, remote, state) = (port(fields.next()?)?, port(fields.next()?)?, fields.next()?);
        // The server's end; 01 is ESTABLISHED.
        (local == server && state == "01").then_some(remote)
    });
    open.filter(|remote| clients.contains(remote)).count()
}

/// Commits a second of a page by one process in this folder, measured for a second.
pub(crate) fn commits_per_second(folder: &Path) -> Outcome<f64> {
    let mut file = tempfile::tempfile_in(folder)?;
    file.write_all(&[0; 8_192])?;
    let began = Instant::now();
    let mut count = 0_u32;
    while began.elapsed() < Duration::from_secs(1) {
        file.write_all_at(&[1; 8_192], 0)?;
        file.sync_data()?;
        count += 1;
    }
    Ok(f64::from(count) / began.elapsed().as_secs_f64())
}

/// The processor, the number of CPUs, the memory and the kernel, as a line.
pub(crate) fn description() -> String {
    let of = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
        line.split_once(':').map_or(String::new(), |(_, value)| value.trim().to_owned())
    };
    let memory_kb: u64 = of("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let processor = of("/proc/cpuinfo", "model name");
    format!("{processor}, {} CPUs, {} GB, Linux {}", cpus(), memory_kb / 1_000_000, kernel.trim())
}

/// The CPU time of this process alone: its children are the servers.
pub(crate) fn own_cpu() -> Duration {
    Duration::from_millis(stat(std::process::id()).map_or(0, |stat| stat.ticks) * 1_000 / TICKS)
}
