//! What a lab leaves on the machine, as the machine's own `/proc` shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::Lab;

/// The lab's folder and all namespaces in it, noted while it is up.
#[derive(Debug)]
pub(crate) struct Traces {
    dir: PathBuf,
    namespaces: BTreeSet<PathBuf>,
}

impl Traces {
    /// Notes the namespaces of all that descends from the lab's first process.
    pub(crate) fn of(lab: &Lab) -> Self {
        let first = fs::read_to_string(lab.path("run/login01.pid")).unwrap();
        let first: u32 = first.trim().parse().unwrap();
        let parents: BTreeMap<u32, u32> = pids()
            .into_iter()
            .filter_map(|pid| Some((pid, parent(pid)?)))
            .collect();
        let descends = |pid: u32| {
            let line = std::iter::successors(Some(pid), |pid| parents.get(pid).copied());
            line.take(parents.len()).any(|pid| pid == first)
        };
        let inside: Vec<u32> = pids().into_iter().filter(|pid| descends(*pid)).collect();
        let own: BTreeSet<PathBuf> = namespaces(std::process::id());
        let all: BTreeSet<PathBuf> = inside.iter().flat_map(|pid| namespaces(*pid)).collect();
        Self {
            dir: lab.path(""),
            namespaces: all.difference(&own).cloned().collect(),
        }
    }

    /// How many network namespaces there were: one of each host.
    pub(crate) fn hosts(&self) -> usize {
        let network = |name: &&PathBuf| name.to_string_lossy().starts_with("net:");
        self.namespaces.iter().filter(network).count()
    }

    /// Processes that are in these namespaces or have to do with the folder, and mounts below it.
    pub(crate) fn left(&self) -> Vec<String> {
        let own = std::process::id();
        let processes = pids()
            .into_iter()
            .filter(|pid| *pid != own && self.shows(*pid));
        let mut left: Vec<String> = processes
            .map(|pid| format!("{pid} {}", text(pid, "cmdline")))
            .collect();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let place = self.dir.to_string_lossy();
        left.extend(
            mounts
                .lines()
                .filter(|line| line.contains(place.trim_end_matches('/')))
                .map(str::to_owned),
        );
        left
    }

    fn shows(&self, pid: u32) -> bool {
        let place = self.dir.to_string_lossy();
        let place = place.trim_end_matches('/');
        let named = ["cmdline", "environ"]
            .iter()
            .any(|name| text(pid, name).contains(place));
        let folder = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
        let inside = !namespaces(pid).is_disjoint(&self.namespaces);
        (inside || named || folder.starts_with(&self.dir)) && parent(pid).is_some()
    }
}

fn pids() -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap();
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

/// The parent of a process that has not ended.
fn parent(pid: u32) -> Option<u32> {
    let stat = text(pid, "stat");
    let (_, words) = stat.rsplit_once(") ")?;
    let mut words = words.split(' ');
    let ended = matches!(words.next()?, "Z" | "X");
    let parent = words.next()?.parse().ok()?;
    (!ended).then_some(parent)
}

/// Such as `net:[4026532281]`.
fn namespaces(pid: u32) -> BTreeSet<PathBuf> {
    let link =
        |name: &&str| fs::read_link(Path::new("/proc").join(format!("{pid}/ns/{name}"))).ok();
    ["net", "mnt", "pid", "uts", "ipc"]
        .iter()
        .filter_map(link)
        .collect()
}

fn text(pid: u32, name: &str) -> String {
    let bytes = fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}
