//! What the world says: processes by their marks, servers by their own logs, results by their files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use super::Scene;
use super::log_cluster::finished;
use super::tally::Tally;

/// Launches of each unit of a run that live at this moment, with a process of each.
pub(crate) fn living(run: &str) -> BTreeMap<String, BTreeMap<String, u32>> {
    let wanted = format!("TOOLORCH_UNIT={run}/");
    let mut found: BTreeMap<String, BTreeMap<String, u32>> = BTreeMap::new();
    let pids = fs::read_dir("/proc").unwrap();
    for pid in pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok()) {
        let text = |name| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let environ = text("environ");
        let mark = environ
            .split(|byte| *byte == 0)
            .find_map(|pair| pair.strip_prefix(wanted.as_bytes()));
        let zombie = String::from_utf8_lossy(&text("stat")).contains(") Z ");
        let Some(mark) = mark.filter(|_| !zombie) else {
            continue;
        };
        let mark = String::from_utf8_lossy(mark).into_owned();
        if let Some((unit, launch)) = mark.split_once('/') {
            found
                .entry(unit.to_owned())
                .or_default()
                .entry(launch.to_owned())
                .or_insert(pid);
        }
    }
    found
}

/// Looks ten times a second whether two launches of one unit live.
pub(crate) struct Sentry {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<BTreeSet<String>>,
}

impl Sentry {
    pub(crate) fn new(run: String) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut doubles = BTreeSet::new();
            while !flag.load(Ordering::Relaxed) {
                for (unit, launches) in living(&run) {
                    if launches.len() > 1 {
                        doubles.insert(format!("{unit}: {launches:?}"));
                    }
                }
                std::thread::sleep(Duration::from_millis(100));
            }
            doubles
        });
        Self { stop, thread }
    }

    /// What was seen twice.
    pub(crate) fn end(self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// How often the server of each unit began, by the first line that the simulator writes to its own log.
pub(crate) fn server_starts(scene: &Scene, logs: &str) -> BTreeMap<String, usize> {
    let mut starts = BTreeMap::new();
    for name in scene.names(logs) {
        let text = fs::read(scene.path(logs).join(&name)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let count = text.matches("vLLM API server version").count();
        if count > 0 {
            let unit = name.split('.').next().unwrap().to_owned();
            *starts.entry(unit).or_default() += count;
        }
    }
    starts
}

/// Results that were seen complete: each must stay what it was.
#[derive(Default)]
pub(crate) struct Ledger {
    folder: String,
    seen: BTreeMap<String, (u64, i64)>,
    broken: BTreeSet<String>,
}

impl Ledger {
    pub(crate) fn new(folder: &str) -> Self {
        Self {
            folder: folder.to_owned(),
            ..Self::default()
        }
    }

    /// Compares what is there with what was. An error may be asked again.
    pub(crate) fn look(&mut self, scene: &Scene) {
        let mut now = finished(scene, &self.folder);
        now.retain(|name, _| {
            let text = scene.read(&format!("{}/{name}", self.folder));
            let result: Value = serde_json::from_str(&text).unwrap_or_default();
            result["status"] != "error"
        });
        for (name, file) in &self.seen {
            if now.get(name) != Some(file) {
                self.broken.insert(name.clone());
            }
        }
        self.seen.extend(now);
    }

    /// The last look: everything must be there, and nothing may have been made twice.
    pub(crate) fn close(mut self, scene: &Scene, wanted: usize, tally: &mut Tally) {
        self.look(scene);
        let missing = wanted.saturating_sub(self.seen.len());
        tally.lost += missing + self.broken.len();
        if missing > 0 || !self.broken.is_empty() {
            let text = format!("{missing} results are missing, changed: {:?}", self.broken);
            tally.failures.push(text);
        }
    }
}

/// Questions that clients have finished without an error more than once, by their own logs.
pub(crate) fn finished_twice(scene: &Scene, logs: &str, unit: &str, marker: &str) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for name in scene
        .names(logs)
        .iter()
        .filter(|name| name.starts_with(unit))
    {
        let text = fs::read(scene.path(logs).join(name)).unwrap_or_default();
        for line in String::from_utf8_lossy(&text).lines() {
            let words = line
                .split_once(marker)
                .and_then(|(_, rest)| rest.split_once(" status=done"));
            if let Some((id, _)) = words {
                *counts.entry(id.to_owned()).or_default() += 1;
            }
        }
    }
    let twice = counts.into_iter().filter(|(_, count)| *count > 1);
    twice
        .map(|(id, count)| format!("{id} was finished {count} times"))
        .collect()
}

/// Counts the starts of servers beyond `allowed` for each unit, one where it names none.
pub(crate) fn count_starts(
    scene: &Scene,
    logs: &str,
    allowed: &BTreeMap<String, usize>,
    tally: &mut Tally,
) {
    for (unit, count) in server_starts(scene, logs) {
        let allowed = allowed.get(&unit).copied().unwrap_or(1);
        if count > allowed {
            tally.double_starts += count - allowed;
            let text = format!("{unit} started {count} times, {allowed} were due");
            tally.failures.push(text);
        }
    }
}
