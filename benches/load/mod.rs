//! An evaluation's client that keeps so many chat completions in flight, and says how they went.
//!
//! The bench starts it through the controller: `BENCH load CONFIG DATASET RESULTS`. Each question is some completions, one
//! after the other, each of a server chosen at random, and then a result file and a marker.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::LocalSet;

use crate::processes::{memory_kib, open_files};

/// Chat completions in flight.
pub(crate) const IN_FLIGHT: usize = 2_000;
/// Completions of a question.
pub(crate) const ROUNDS: usize = 10;
/// What the servers' environment says of their engines.
pub(crate) const PREFILL_RATE: f64 = 20_000.0;
pub(crate) const DECODE_RATE: f64 = 100.0;
pub(crate) const ANSWER_TOKENS: f64 = 600.0;
/// Written when every server is under load, and when the last question is under way. From the one to the other counts.
pub(crate) const BEGUN: &str = "load.begun";
pub(crate) const OVER: &str = "load.over";
/// Where the client says how it went.
pub(crate) const REPORT: &str = "load.json";

/// How the loaded phase went.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Loaded {
    /// Its length in seconds.
    pub(crate) seconds: f64,
    /// Completions in it.
    pub(crate) answered: usize,
    /// Completions that failed, at any time.
    pub(crate) failed: usize,
    /// Completions under way, on average over its time.
    pub(crate) in_flight: f64,
    /// Seconds that a completion took: mean, median, 99th percentile.
    pub(crate) took: [f64; 3],
    /// Virtual seconds that an engine needs for it when it is alone, likewise.
    pub(crate) alone: [f64; 3],
    /// The most memory that the client held, in KiB.
    pub(crate) peak_kib: u64,
    /// Files that it had open at the end.
    pub(crate) files: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// The first answers are awaited.
    Ramp,
    Loaded,
    Over,
}

/// What all workers share; they take turns on one thread.
struct Desk {
    phase: Phase,
    /// Ids of the questions that nobody took, the last first.
    questions: Vec<String>,
    answers: usize,
    failed: usize,
    flying: usize,
    /// Time by requests in flight, up to `changed`.
    area: f64,
    changed: Instant,
    began: Instant,
    seconds: f64,
    took: Vec<f64>,
    alone: Vec<f64>,
    draws: u64,
}

impl Desk {
    fn new(mut questions: Vec<String>) -> Self {
        questions.reverse();
        Self {
            phase: Phase::Ramp,
            questions,
            answers: 0,
            failed: 0,
            flying: 0,
            area: 0.0,
            changed: Instant::now(),
            began: Instant::now(),
            seconds: 0.0,
            took: Vec::new(),
            alone: Vec::new(),
            draws: 0x9e37_79b9_7f4a_7c15,
        }
    }

    fn question(&mut self) -> Option<String> {
        let next = self.questions.pop();
        if self.questions.is_empty() && self.phase == Phase::Loaded {
            self.count_time();
            self.phase = Phase::Over;
            self.seconds = self.began.elapsed().as_secs_f64();
            tell(OVER);
        }
        next
    }

    fn count_time(&mut self) {
        if self.phase == Phase::Loaded {
            #[expect(clippy::cast_precision_loss, reason = "thousands")]
            let flying = self.flying as f64;
            self.area += self.changed.elapsed().as_secs_f64() * flying;
        }
        self.changed = Instant::now();
    }

    fn sent(&mut self) {
        self.count_time();
        self.flying += 1;
    }

    /// An answer after so long, and how long an engine that is alone needs for it; none where there was no answer.
    fn answered(&mut self, took: Duration, alone: Option<f64>) {
        self.count_time();
        self.flying -= 1;
        self.answers += 1;
        self.failed += usize::from(alone.is_none());
        if self.phase == Phase::Loaded {
            self.took.push(took.as_secs_f64());
            self.alone.extend(alone);
        }
        if self.phase == Phase::Ramp && self.answers == IN_FLIGHT {
            self.phase = Phase::Loaded;
            self.began = Instant::now();
            tell(BEGUN);
        }
    }

    /// A number below `count`: xorshift is random enough to spread requests.
    fn draw(&mut self, count: usize) -> usize {
        self.draws ^= self.draws << 13;
        self.draws ^= self.draws >> 7;
        self.draws ^= self.draws << 17;
        usize::try_from(self.draws >> 33).unwrap() % count
    }

    fn report(mut self) -> Loaded {
        Loaded {
            seconds: self.seconds,
            answered: self.took.len(),
            failed: self.failed,
            in_flight: self.area / self.seconds,
            took: summary(&mut self.took),
            alone: summary(&mut self.alone),
            peak_kib: memory_kib(std::process::id(), "VmHWM:"),
            files: open_files(std::process::id()),
        }
    }
}

/// Leaves word, with the number of this process, for the bench.
fn tell(name: &str) {
    fs::write("load.part", std::process::id().to_string()).unwrap();
    fs::rename("load.part", name).unwrap();
}

/// Mean, median and 99th percentile.
#[expect(clippy::cast_precision_loss, reason = "a few hundred thousand")]
fn summary(all: &mut [f64]) -> [f64; 3] {
    all.sort_unstable_by(f64::total_cmp);
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    [mean, all[all.len() / 2], all[all.len() * 99 / 100]]
}

struct Client {
    http: reqwest::Client,
    model: String,
    servers: Vec<String>,
    results: PathBuf,
    desk: RefCell<Desk>,
}

/// Runs the client with the arguments after `load`.
pub(crate) fn main(args: &[String]) {
    let [config, dataset, results] = args else {
        panic!("load CONFIG DATASET RESULTS");
    };
    let config: Value = serde_json::from_str(&fs::read_to_string(config).unwrap()).unwrap();
    let mut entries = config.as_object().unwrap().iter();
    let list = |(key, value): (_, &'_ Value)| Some((key, value.as_array()?.clone()));
    let (model, places): (&String, Vec<Value>) = entries.find_map(list).unwrap();
    let url = |place: &Value| {
        let (address, port) = (place["ip_addr"].as_str().unwrap(), &place["port"]);
        let port = port
            .as_str()
            .map_or_else(|| port.to_string(), str::to_owned);
        format!("http://{address}:{port}/v1/chat/completions")
    };
    let results = Path::new(results);
    fs::create_dir_all(results).unwrap();
    let lines = fs::read_to_string(dataset).unwrap();
    let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["id"].clone();
    let ids = lines
        .lines()
        .map(|line| id(line).as_str().unwrap().to_owned());
    let client = Rc::new(Client {
        http: reqwest::Client::builder().no_proxy().build().unwrap(),
        model: model.clone(),
        servers: places.iter().map(url).collect(),
        results: results.to_owned(),
        desk: RefCell::new(Desk::new(ids.collect())),
    });
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let workers = LocalSet::new();
    for _ in 0..IN_FLIGHT {
        workers.spawn_local(Rc::clone(&client).work());
    }
    runtime.block_on(workers);
    let desk = Rc::into_inner(client).unwrap().desk.into_inner();
    fs::write(REPORT, serde_json::to_string(&desk.report()).unwrap()).unwrap();
}

impl Client {
    async fn work(self: Rc<Self>) {
        loop {
            let next = self.desk.borrow_mut().question();
            let Some(id) = next else { return };
            let mut status = "done";
            for round in 0..ROUNDS {
                self.desk.borrow_mut().sent();
                let sent = Instant::now();
                let alone = self.ask(&id, round).await;
                self.desk.borrow_mut().answered(sent.elapsed(), alone);
                if alone.is_none() {
                    status = "error";
                }
            }
            self.write(&id, status);
        }
    }

    /// Virtual seconds that an engine which is alone takes for the answer.
    async fn ask(&self, id: &str, round: usize) -> Option<f64> {
        let place = self.desk.borrow_mut().draw(self.servers.len());
        let filler = "What was found before stands here, as an agent would repeat it. ".repeat(32);
        let text = format!("{filler}\nQuestion {id}, round {round}: what is {round} + 17?");
        let body = json!({
            "model": self.model, "temperature": 0.2, "max_tokens": 8000,
            "messages": [{"role": "user", "content": text}],
        });
        let answer = self.http.post(&self.servers[place]).json(&body).send();
        let answer = answer.await.ok()?.error_for_status().ok()?;
        let answer: Value = answer.json().await.ok()?;
        let [read, written] =
            ["prompt_tokens", "completion_tokens"].map(|key| answer["usage"][key].as_f64());
        Some(read? / PREFILL_RATE + written? / DECODE_RATE)
    }

    /// A result is there as a whole or not at all.
    #[expect(clippy::print_stdout, reason = "the marker")]
    fn write(&self, id: &str, status: &str) {
        let result = json!({"id": id, "status": status, "rounds": ROUNDS});
        let part = self.results.join(format!(".{id}.part"));
        fs::write(&part, result.to_string()).unwrap();
        fs::rename(&part, self.results.join(format!("{id}.json"))).unwrap();
        println!("[LOAD_COMPLETE] id={id} status={status}");
    }
}
