//! Advice with the change of the YAML on `report.html`, on a page that was made for it: what it rests on takes a night to come by.

use jiff::tz::TimeZone;
use toolorch::base::{Millis, Timestamp};
use toolorch::report::charts::Charts;
use toolorch::report::verdict::{
    Advice, Class, Client, Evidence, Node, Seats, SeatsBy, Series, Task, Verdict, Window, analyse,
};
use toolorch::report::{Judgement, Report, Subject, report_html};

use super::page::looked_at;
use crate::browser::Browser;

/// Seconds of the run, and between two looks.
const LENGTH: u64 = 7200;
const EVERY: u64 = 15;

/// A moment, in seconds since the begin.
fn at(seconds: u64) -> Timestamp {
    Timestamp(1_767_211_620_000 + 1000 * seconds)
}

/// What each replica of a class did all the time: requests computed and waiting, and calls finished in a second, of so many seconds.
fn class(name: &str, node: &str, replicas: usize, load: [f64; 4]) -> Class {
    let [running, waiting, finished, length] = load;
    let count = finished * 15.0;
    let windows = (1..=LENGTH / EVERY).map(|look| Window {
        at: at(look * EVERY),
        length: Millis::from_secs(EVERY),
        running: Some(running),
        waiting: Some(waiting),
        kv: Some(0.4),
        preemptions: Some(0.0),
        finished: Some(count),
        queue_seconds: Some(waiting * 15.0),
        inference_seconds: Some(count * length),
        computed_seconds: None,
        generated: Some(count * 900.0),
        prompt: Some(count * 9000.0),
    });
    let windows: Vec<Window> = windows.collect();
    let series = (0..replicas).map(|index| Series {
        replica: format!("{name}-{index}"),
        windows: windows.clone(),
    });
    Class {
        name: name.to_owned(),
        replicas,
        gpus_per_replica: 1,
        seats: Some(Seats {
            count: 8,
            by: SeatsBy::Argument,
        }),
        series: series.collect(),
        nodes: vec![node.to_owned()],
        ..Class::default()
    }
}

/// Calls wait for one kind of server, and another has hardly anything to do. Names are as long as sites make them.
fn evidence() -> Evidence {
    let nodes = [
        ("research-secure-05.cluster.example.edu", 4),
        ("research-secure-11.cluster.example.edu", 8),
        ("research-secure-12.cluster.example.edu", 8),
    ];
    let tasks = (0..1440_u64).map(|n| Task {
        id: format!("q-{n}"),
        began: Some(at((n * 5).saturating_sub(320))),
        ended: Some(at(n * 5)),
    });
    Evidence {
        began: at(0),
        until: at(LENGTH),
        client: Client {
            concurrency: Some(64),
            total: Some(1900),
            done: 1440,
            tasks: tasks.collect(),
            ..Client::default()
        },
        classes: vec![
            class("orchestrator", nodes[0].0, 4, [8.0, 7.0, 0.15, 53.0]),
            class("coder", nodes[1].0, 8, [0.2, 0.0, 0.025, 8.0]),
            class("answer", nodes[2].0, 8, [0.4, 0.0, 0.0125, 32.0]),
        ],
        nodes: (nodes.into_iter())
            .map(|(name, gpus)| Node {
                name: name.to_owned(),
                gpus,
                ..Node::default()
            })
            .collect(),
        ..Evidence::default()
    }
}

#[test]
fn advice_can_be_read_on_every_screen() {
    let mut analysis = analyse(&evidence());
    assert_eq!(analysis.classes[0].verdict, Verdict::QueueLimited);
    if let Advice::Change { prediction, .. } = &mut analysis.advice {
        prediction.patch.by_hand = Some("`gpus` of orchestrator has to name as many".to_owned());
    }
    let report = Report {
        subject: Subject::Run {
            run: "hle-oss-3-7f2e".to_owned(),
            cluster: "hle-oss".to_owned(),
            ended: None,
            until: None,
        },
        happened: None,
        evaluations: Vec::new(),
        judgements: vec![Judgement {
            evaluation: "hle".to_owned(),
            speed: None,
            doubts: Vec::new(),
            analysis,
            patch: None,
            patch_file: None,
            patch_command: None,
            no_patch: None,
            command: Some("toolorch what-if hle-oss-3-7f2e --move 3 coder:orchestrator".to_owned()),
            followed: None,
        }],
    };
    let dir = tempfile::tempdir().unwrap();
    let page = dir.path().join("report.html");
    std::fs::write(
        &page,
        report_html(&report, &Charts::default(), &TimeZone::UTC),
    )
    .unwrap();
    let mut browser = Browser::start(&dir.path().join("chromium"));
    looked_at(&mut browser, &page, "advice");
    // First of all the answer: on a phone it is in sight at once.
    browser.screen(390, "light");
    let bottom = "document.querySelector('.answer').getBoundingClientRect().bottom < 600";
    assert_eq!(browser.value(bottom), true);
    browser.screen(1440, "light");
    let mut said = |part: &str| {
        let said = browser.value(&format!("document.querySelector('{part}').innerText"));
        let said = said.as_str().unwrap().lines().map(str::trim_end);
        let said: Vec<&str> = said.filter(|line| !line.is_empty()).collect();
        said.join("\n")
    };
    insta::assert_snapshot!(said(".answer"), @r"
    Change this
    1.54× as many questions an hour, likely 1.46 to 1.62 times
    Calls wait for orchestrator: a call spends 47 % of its time in the queue.
    Move 3 GPUs from coder to orchestrator.
    ");
    insta::assert_snapshot!(said("#verdict"), @r"
    What limited it
    Model by model
    orchestrator
    queue-limited
    32.0 calls running on 4 replicas, 28.0 waiting, 47 % of a call's time
    coder
    idle
    1.6 calls running on 8 replicas, 0 waiting
    answer
    idle
    3.2 calls running on 8 replicas, 0 waiting
    What stands out
    for 2h 00m from the beginning nine of ten questions were at orchestrator, while 16 GPUs of others were idle
    Advice
    Move 3 GPUs from coder to orchestrator
    1.54× questions an hour between 1.46× and 1.62×
    because calls to orchestrator wait 47 % of their time and each replica of coder has 0.2 calls at a time
    What changes in the YAML
      models:
        orchestrator:
    -     replicas: 4
    +     replicas: 7
    -     node: research-secure-05.cluster.example.edu
    +     node: [research-secure-05.cluster.example.edu, research-secure-11.cluster.example.edu]
        coder:
    -     replicas: 8
    +     replicas: 5
    By hand: gpus of orchestrator has to name as many
    Check with toolorch what-if hle-oss-3-7f2e --move 3 coder:orchestrator
    Time and cost
    time left: about 40m 05s (36m 26s to 1h 00m)
    40.0 GPU hours, 0.0 of them idle (0 %); 1m 40s of GPU time per question
    What that rests on
    calls that one server runs at once, at most: orchestrator 8 (--max-num-seqs), coder 8 (--max-num-seqs), answer 8 (--max-num-seqs)
    720 questions an hour in its steady time, 1.87 h of 2.00 h
    ");
    // What is too long for a phone is moved inside its box.
    let moves = "(({scrollWidth, clientWidth}) => scrollWidth > clientWidth)(document.querySelector('.patch pre'))";
    assert_eq!(browser.value(moves), false);
    browser.screen(390, "light");
    assert_eq!(browser.value(moves), true);
    assert_eq!(browser.complaints, [] as [String; 0]);
}
