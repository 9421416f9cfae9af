//! A node is played by this machine with a state directory of its own: the same bash, another way there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

use super::station::Marked;
use super::{ClientSeen, Clients, Fleet, Pace, Station, begin_rounds};
use crate::base::{Epoch, Generation, LaunchId, NodeName, RunId, UnitId, sha256};
use crate::facts::Observation;
use crate::plan::plan_tests::clean;
use crate::render::{Renderer, render_plan};
use crate::spec::model::LauncherKind;
use crate::world::transport::{
    Answer, Command, LocalTransport, NodeFile, Output, Transport, TransportError,
};
use crate::world::{LaunchError, LaunchJob, Launchers};

const YAML: &str = "version: 1\nname: c\nlauncher: process\nnodes: { far: { gpus: 0, transport: ssh2 } }\nservices:\n  s: { node: far, port: PORT, env: { pass: [KEY] }, command: [sh, -c, 'echo the key is $KEY; exec sleep 60'] }\n";

/// One that nobody has: tests run beside each other, and a unit claims its port.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// This machine, with another folder for state.
struct Elsewhere(PathBuf);

impl Elsewhere {
    fn at(&self, argv: &[String]) -> Vec<String> {
        let place = self.0.display();
        let words = [
            "env".to_owned(),
            format!("TOOLORCH_STATE={place}"),
            format!("TOOLORCH_CLAIMS={place}/.claims"),
        ];
        words.into_iter().chain(argv.iter().cloned()).collect()
    }
}

impl Transport for Elsewhere {
    fn exec<'a>(
        &'a self,
        command: &'a Command,
        limit: Duration,
    ) -> Answer<'a, Result<Output, TransportError>> {
        Box::pin(async move {
            let argv = self.at(&command.argv);
            let stdin = command.stdin.clone();
            LocalTransport.exec(&Command { argv, stdin }, limit).await
        })
    }

    fn spawn<'a>(&'a self, argv: &'a [String]) -> Answer<'a, Result<u32, TransportError>> {
        Box::pin(async move { LocalTransport.spawn(&self.at(argv)).await })
    }

    fn put_all<'a>(
        &'a self,
        files: &'a [NodeFile],
        limit: Duration,
    ) -> Answer<'a, Result<(), TransportError>> {
        LocalTransport.put_all(files, limit)
    }
}

/// A fleet of one node.
struct Yard {
    dir: TempDir,
    fleet: Arc<Fleet>,
    run: RunId,
}

impl Yard {
    fn new() -> Self {
        Self::with(b"n-1")
    }

    /// The controller's record has this digest: the node's own is that of `n-1`, where it sees the folder.
    fn with(record: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let run = RunId::new(
            format!("fleet-{}", dir.path().file_name().unwrap().display()).replace("-.", "-"),
        );
        let plan = clean(&YAML.replace("PORT", &free_port().to_string()));
        let files = render_plan(
            &plan,
            &Renderer::new(&std::collections::BTreeMap::new()).unwrap(),
        );
        let mark = dir.path().join("mark");
        std::fs::write(&mark, "n-1").unwrap();
        let elsewhere = Elsewhere(dir.path().join("state"));
        let station = Station::new(
            NodeName::new("far"),
            run.clone(),
            Arc::new(elsewhere),
            (mark, sha256(record)),
        );
        Self {
            fleet: Arc::new(Fleet::new(
                &plan,
                &files.unwrap(),
                vec![station],
                dir.path().join("logs"),
            )),
            dir,
            run,
        }
    }

    fn station(&self) -> &Arc<Station> {
        self.fleet.of(&UnitId::new("s")).unwrap()
    }

    fn job(&self, generation: u64) -> LaunchJob {
        LaunchJob {
            run: self.run.clone(),
            unit: UnitId::new("s"),
            session: None,
            launcher: LauncherKind::Process,
            generation: Generation(generation),
            epoch: Some(Epoch(1)),
            launch: LaunchId::new(format!("l{generation}")),
            concurrency: None,
            passed: vec![("KEY".to_owned(), "it's secret".to_owned())],
            scripts: self.dir.path().join("scripts"),
            log: self.dir.path().join("logs/s.log"),
        }
    }

    async fn stop(&self, launchers: &Launchers, epoch: u64) -> Result<(), LaunchError> {
        let (unit, scripts) = (UnitId::new("s"), self.dir.path().join("scripts"));
        let grace = crate::base::Millis(2000);
        launchers
            .stop(&self.run, &unit, Some(Epoch(epoch)), &scripts, grace)
            .await
    }

    async fn seen(&self) -> Observation {
        let units = [UnitId::new("s")];
        let seen = self.station().look(&units).await.unwrap();
        seen.unwrap().units.remove(&units[0]).unwrap().observation
    }
}

#[tokio::test]
async fn nothing_is_there_until_something_is_put_there() {
    let yard = Yard::new();
    assert_eq!(yard.station().look(&[]).await.unwrap(), None);
    assert_eq!(yard.station().marks().await.unwrap(), []);
    assert!(
        !yard.dir.path().join("state").exists(),
        "a look makes nothing"
    );
    let seen = yard.fleet.sight(Epoch(3), |_| true).await;
    assert_eq!(seen, [(UnitId::new("s"), Observation::Never)]);
    assert_eq!(yard.seen().await, Observation::Never);
    let scripts = yard.station().scripts().await.unwrap();
    assert!(scripts.join(".epoch-3").exists());
    // What was cut short by a full disk never was a whole set.
    for name in ["MANIFEST", "lib/unit.sh"] {
        std::fs::remove_file(scripts.join(name)).unwrap();
    }
    yard.station().clear().await.unwrap();
    assert!(!scripts.parent().unwrap().exists());
    yard.fleet.sight(Epoch(3), |_| true).await;
    yard.station().clear().await.unwrap();
    assert!(!scripts.exists());
}

#[tokio::test]
async fn the_end_of_a_log_that_stands_there_alone_is_kept() {
    let yard = Yard::with(b"another");
    let launchers = Launchers::reaching(yard.fleet.clone());
    let launched = launchers.launch(&yard.job(1)).await.unwrap();
    assert_ne!(launched.log, yard.job(1).log);
    let since = Instant::now();
    while !std::fs::read_to_string(&launched.log).is_ok_and(|text| text.contains("the key")) {
        assert!(since.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    yard.stop(&launchers, 1).await.unwrap();
    std::fs::create_dir(yard.dir.path().join("logs")).unwrap();
    yard.fleet.clear_all().await;
    assert!(!launched.log.exists());
    let kept = std::fs::read_to_string(yard.job(1).log).unwrap();
    assert_eq!(kept, "the key is [KEY]\n");
}

#[tokio::test]
async fn what_lives_where_no_plan_has_it_is_found() {
    let yard = Yard::new();
    yard.fleet.sight(Epoch(1), |_| false).await;
    let launchers = Launchers::reaching(yard.fleet.clone());
    launchers.launch(&yard.job(1)).await.unwrap();
    assert_eq!(yard.fleet.strays(&BTreeMap::new()).await.len(), 0);
    let elsewhere = Elsewhere(yard.dir.path().join("state"));
    let mark = (yard.dir.path().join("mark"), sha256(b"n-1"));
    let node = NodeName::new("before");
    let station = Station::new(node.clone(), yard.run.clone(), Arc::new(elsewhere), mark);
    let before = Fleet::default().with_former(vec![(station, BTreeSet::new())]);
    assert_eq!(
        before
            .strays(&BTreeMap::from([(node, String::new())]))
            .await
            .len(),
        0,
        "it is silent"
    );
    let strays = before.strays(&BTreeMap::new()).await;
    let [(station, unit)] = strays.as_slice() else {
        panic!("{strays:?}")
    };
    let grace = crate::base::Millis::from_secs(5);
    Launchers::stop_at(station, &yard.run, unit, Some(Epoch(1)), grace)
        .await
        .unwrap();
    assert_eq!(before.left(&BTreeMap::new(), |_| true).await, []);
    before.clear_all().await;
    assert!(
        !yard
            .dir
            .path()
            .join("state")
            .join(yard.run.as_str())
            .exists()
    );
}

#[tokio::test]
async fn a_unit_is_started_seen_stopped_and_never_started_by_an_earlier_owner() {
    let yard = Yard::new();
    let launchers = Launchers::reaching(yard.fleet.clone());
    let launched = launchers.launch(&yard.job(1)).await.unwrap();
    // The folder is shared: the log is where the controller reads it.
    assert_eq!(launched.log, yard.job(1).log);
    let since = Instant::now();
    let running = loop {
        match yard.seen().await {
            Observation::Running(running) => break running,
            other => assert!(since.elapsed() < Duration::from_secs(20), "{other:?}"),
        }
    };
    assert_eq!(
        (running.generation.0, running.supervisor),
        (1, launched.pid)
    );
    let marked = yard.station().marks().await.unwrap();
    assert!(
        marked.iter().any(|marked| marked.pid == running.pid),
        "{marked:?}"
    );
    let end = yard
        .station()
        .log_end(&UnitId::new("s"), 100)
        .await
        .unwrap();
    assert_eq!(end.lines(), ["the key is [KEY]"]);
    let cut = yard.station().log_end(&UnitId::new("s"), 3).await.unwrap();
    assert!(!cut.lines().concat().contains("cret"), "{cut:?}");

    yard.fleet
        .equip(&NodeName::new("far"), Epoch(2))
        .await
        .unwrap();
    let refused = yard.stop(&launchers, 1).await.unwrap_err().to_string();
    assert!(
        refused.contains("superseded: epoch 1, but epoch 2 owns this run"),
        "{refused}"
    );
    yard.stop(&launchers, 2).await.unwrap();
    assert!(matches!(yard.seen().await, Observation::Exited(_)));
    assert_eq!(yard.station().marks().await.unwrap(), []);
}

#[tokio::test]
async fn a_unit_whose_state_is_gone_is_unknown_while_it_lives() {
    let yard = Yard::new();
    let launchers = Launchers::reaching(yard.fleet.clone());
    launchers.launch(&yard.job(1)).await.unwrap();
    let since = Instant::now();
    while !matches!(yard.seen().await, Observation::Running(_)) {
        assert!(since.elapsed() < Duration::from_secs(20));
    }
    let state = yard.dir.path().join("state").join(yard.run.as_str());
    std::fs::rename(state.join("s"), yard.dir.path().join("aside")).unwrap();
    let unit = [UnitId::new("s")];
    let sight = async |may_live| {
        let mut seen = yard.station().sight(&unit, |_| may_live).await;
        seen.remove(0).1
    };
    let Observation::Unknown { why } = sight(true).await else {
        panic!("it lives")
    };
    assert!(
        why.contains("its state on node `far` is gone, and process "),
        "{why}"
    );
    assert_eq!(
        sight(false).await,
        Observation::Never,
        "nobody looks for it"
    );
    std::fs::rename(yard.dir.path().join("aside"), state.join("s")).unwrap();
    yard.stop(&launchers, 1).await.unwrap();
}

#[tokio::test]
async fn what_lives_is_seen_where_somebody_tidied_its_state_away() {
    let yard = Yard::new();
    let launchers = Launchers::reaching(yard.fleet.clone());
    launchers.launch(&yard.job(1)).await.unwrap();
    let since = Instant::now();
    let running = loop {
        match yard.seen().await {
            Observation::Running(running) => break running,
            other => assert!(since.elapsed() < Duration::from_secs(20), "{other:?}"),
        }
    };
    let state = yard.dir.path().join("state").join(yard.run.as_str());
    let aside = yard.dir.path().join("aside");
    std::fs::rename(&state, &aside).unwrap();
    let marked = yard.station().marks().await.unwrap();
    assert!(
        marked.contains(&Marked {
            pid: running.pid,
            unit: UnitId::new("s")
        }),
        "{marked:?}"
    );
    std::fs::rename(aside, state).unwrap();
    yard.stop(&launchers, 1).await.unwrap();
    assert_eq!(yard.station().marks().await.unwrap(), []);
}

#[tokio::test]
async fn rounds_tell_of_an_end_with_its_last_words() {
    let yard = Yard::new();
    let launchers = Launchers::reaching(yard.fleet.clone());
    launchers.launch(&yard.job(1)).await.unwrap();
    let (teller, mut news) = mpsc::unbounded_channel();
    let pace = watch::Sender::new(Pace {
        pause: Duration::from_millis(50),
        nudges: 0,
    });
    let (sender, mut seen) = mpsc::unbounded_channel();
    let clients = Clients {
        units: BTreeSet::from([UnitId::new("s")]),
        news: sender,
    };
    let (loads, _) = mpsc::unbounded_channel();
    begin_rounds(
        yard.station().clone(),
        vec![UnitId::new("s")],
        clients,
        teller,
        loads,
        pace.subscribe(),
    );
    let mut next = async || {
        tokio::time::timeout(Duration::from_secs(20), news.recv())
            .await
            .unwrap()
            .unwrap()
            .1
    };
    let running = loop {
        if let Observation::Running(running) = next().await {
            break running;
        }
    };
    crate::world::process(running.pid).map(|found| {
        crate::world::send_signal(found.pid, found.start, rustix::process::Signal::KILL)
    });
    let exit = loop {
        if let Observation::Exited(exit) = next().await {
            break exit;
        }
    };
    assert_eq!(
        (exit.code, exit.signal.as_deref()),
        (Some(137), Some("SIGKILL"))
    );
    assert_eq!(exit.tail, ["the key is [KEY]"]);
    let mut last = None;
    while let Ok((unit, told)) = seen.try_recv() {
        assert_eq!(unit.as_str(), "s");
        let runs = matches!(&told, ClientSeen::Runs { files: Some(files), .. } if files.open > 0);
        let ends = matches!(&told, ClientSeen::Ended { .. });
        assert!(runs || ends, "{told:?}");
        last = Some(ends);
    }
    assert_eq!(
        last,
        Some(true),
        "its end is told last, and before its exit"
    );
    drop(pace);
    assert_eq!(news.recv().await, None, "the rounds end with their driver");
}
