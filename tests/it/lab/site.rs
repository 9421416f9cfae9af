//! A cluster's folder in a lab, and the words that tests of `up` and `down` have in common.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Deref;
use std::path::Path;

use super::{Lab, Shape};
use crate::up::scene::{Going, Said, until};

/// `c/cluster.yaml` in the home of `tester`, on login01.
pub(super) struct Site {
    lab: Lab,
    /// Where its servers are.
    nodes: Vec<String>,
    slurm: bool,
}

impl Deref for Site {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.lab
    }
}

impl Site {
    /// A lab with this YAML in it.
    pub(super) fn new(shape: &Shape, yaml: &str) -> Self {
        let lab = Lab::shaped(shape);
        lab.exec(["mkdir", "c"]);
        let nodes = [&shape.plain, &shape.slurm, &shape.inner].into_iter();
        let site = Self {
            lab,
            nodes: nodes.flatten().cloned().collect(),
            slurm: !shape.slurm.is_empty(),
        };
        site.write("cluster.yaml", yaml);
        site
    }

    /// Puts a file into its folder, for `tester`.
    pub(super) fn write(&self, file: &str, text: &str) {
        fs::write(self.home().join("c").join(file), text).unwrap();
    }

    /// A client, and so many questions for it. What each is for says `tests/fixtures/asking/client.py`.
    pub(super) fn with_questions(self, count: usize) -> Self {
        let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/asking/client.py");
        self.write("client.py", &fs::read_to_string(client).unwrap());
        let question = |n| format!("{{\"id\": \"q-{n}\", \"question\": \"What is {n} + 7?\"}}\n");
        let questions: String = (0..count).map(question).collect();
        self.write("questions.jsonl", &questions);
        self
    }

    /// `toolorch` in its folder.
    pub(super) fn words(args: &str) -> [String; 3] {
        let line = format!("cd c && exec toolorch {args} cluster.yaml");
        ["bash".to_owned(), "-c".to_owned(), line]
    }

    /// Runs it to its end, which must have this exit code.
    #[track_caller]
    pub(super) fn toolorch(&self, code: i32, args: &str) -> Said {
        let said = self.run(Self::words(args));
        assert_eq!(said.code, code, "{}{}", said.out, said.err);
        said
    }

    /// Starts the controller.
    pub(super) fn up(&self) -> Going {
        self.go(Self::words("up --events plain"))
    }

    /// Waits until so many lines of what it said have these words.
    #[track_caller]
    pub(super) fn says(going: &Going, times: usize, words: &str) {
        until(words, || {
            let said = going.err();
            let found = said.lines().filter(|line| line.contains(words)).count();
            (found >= times).then_some(())
        });
    }

    /// Its servers on a node: the process ids of each unit.
    pub(super) fn servers(&self, node: &str) -> BTreeMap<String, Vec<u32>> {
        const LOOK: &str = "for pid in $(pgrep -f '^[^ ]*toolorch sim'); do \
            mark=$(tr '\\0' '\\n' <\"/proc/$pid/environ\" | sed -n 's/^TOOLORCH_UNIT=//p') && echo \"$pid $mark\"; done 2>/dev/null || true";
        let mut servers: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for line in self.on(node, ["bash", "-c", LOOK]).lines() {
            let (pid, mark) = line.split_once(' ').unwrap();
            // It ended while it was looked at.
            let Some(unit) = mark.split('/').nth(1) else {
                continue;
            };
            let pids = servers.entry(unit.to_owned()).or_default();
            pids.push(pid.parse().unwrap());
        }
        servers
    }

    /// So many units have one process each.
    #[track_caller]
    pub(super) fn assert_units(&self, node: &str, count: usize) {
        let servers = self.servers(node);
        assert!(servers.values().all(|pids| pids.len() == 1), "{servers:?}");
        assert_eq!(servers.len(), count, "{servers:?}");
    }

    /// No unit has more than one process, whoever started it.
    #[track_caller]
    pub(super) fn assert_none_twice(&self, story: &str) {
        let mut all: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for node in &self.nodes {
            for (unit, pids) in self.servers(node) {
                all.entry(unit).or_default().extend(pids);
            }
        }
        assert!(all.values().all(|pids| pids.len() == 1), "{story}: {all:?}");
    }

    /// How many questions have been answered so far.
    pub(super) fn answered(&self) -> usize {
        let answered = fs::read_to_string(self.home().join("c/answered"));
        answered.unwrap_or_default().lines().count()
    }

    /// Each question has its result, and was answered once.
    #[track_caller]
    pub(super) fn assert_answered(&self, count: usize) {
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        let answered = fs::read_to_string(self.home().join("c/answered")).unwrap();
        for id in answered.lines() {
            *times.entry(id.to_owned()).or_default() += 1;
        }
        assert!(times.values().all(|times| *times == 1), "{times:?}");
        assert_eq!(times.len(), count);
        for id in times.keys() {
            let result = self.home().join(format!("c/results/{id}.json"));
            assert!(result.is_file(), "{id}");
        }
    }

    /// Whatever of the user is on a node besides the connections of ssh, and whoever else listens there.
    pub(super) fn left(&self, node: &str) -> String {
        const LOOK: &str = "ps -u tester -o args= | grep -v '^sshd'; ls -A /tmp/toolorch-4242 2>/dev/null; \
            ss -Hltnp | grep -v -e '\"sshd\"' -e '\"slurmd\"'; true";
        self.on(node, ["bash", "-c", LOOK])
    }

    /// `down` leaves nothing, as processes, sockets and SLURM show.
    #[track_caller]
    pub(super) fn goes_down(&self) {
        let down = self.toolorch(0, "down");
        assert!(down.err.contains("is down: "), "{}", down.err);
        for node in &self.nodes {
            assert_eq!(self.left(node), "", "{node}");
        }
        if self.slurm {
            let jobs = self.exec(["squeue", "-h", "-o", "%i %T"]);
            // Of a job that is completing nothing of ours is left: SLURM takes its node back.
            let mut jobs = jobs.lines().filter(|line| !line.ends_with("COMPLETING"));
            assert_eq!(jobs.next(), None);
        }
    }
}

/// An evaluation of all that `m` serves, by the client of [`Site::with_questions`].
pub(super) const ASKING: &str = "
client_config: { format: toolorchestra, path: config.json }
evals:
  asking:
    command: [python3, client.py, --config, '{config}', --dataset, '{dataset}', --output, '{results}', --concurrency, '{concurrency}']
    dataset: questions.jsonl
    results: results
    concurrency: 4
    marker: '^answered '
    restart: { backoff: 1s }
when_done: keep
";
