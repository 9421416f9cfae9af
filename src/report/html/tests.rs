//! The page as a whole.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use sha2::{Digest as _, Sha256};

use super::night::Night;
use super::page::{SCRIPT_HASH, report_html};
use crate::base::Millis;
use crate::eval::{Answer, Names, Written};
use crate::report::charts::{BINS, Charts, Classes, Told, spreads};
use crate::report::tables::{Found, Times, Whose, evaluation};
use crate::report::{Report, Subject, report_text};

const HOUR: Millis = Millis::from_secs(3600);

fn night() -> Night {
    Night {
        times: 1,
        length: Millis(24 * HOUR.0),
        every: Millis::from_secs(240),
        speed: None,
    }
}

/// A page's tags, each closed where it has to be; answers the texts of those that name something.
fn outline(page: &str) -> Vec<String> {
    let (mut open, mut said): (Vec<&str>, Vec<String>) = (Vec::new(), Vec::new());
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        if let (Some(name), Some(line)) = (open.last(), said.last_mut())
            && open
                .iter()
                .any(|tag| ["h1", "h2", "h3", "h4", "figcaption", "dt"].contains(tag))
            && *name != "title"
        {
            line.push_str(&rest[..start]);
        }
        let end = start + rest[start..].find('>').expect("a tag ends");
        let tag = &rest[start + 1..end];
        let name = tag
            .split([' ', '/'])
            .find(|name| !name.is_empty())
            .unwrap_or("");
        rest = &rest[end + 1..];
        if tag.starts_with('/') {
            assert_eq!(
                open.pop(),
                Some(name),
                "before {}",
                &rest[..rest.len().min(80)]
            );
        } else if !tag.ends_with('/') && !["!doctype", "meta", "link", "br"].contains(&name) {
            open.push(name);
            if ["h1", "h2", "h3", "h4", "figcaption", "dt"].contains(&name) {
                said.push(format!("{name}: "));
            }
            // Their texts are no HTML.
            if ["style", "script"].contains(&name) {
                rest = &rest[rest.find(&format!("</{name}")).expect("it ends")..];
            }
        }
    }
    assert!(open.is_empty(), "{open:?}");
    said
}

#[test]
fn a_night_has_all_sections_in_their_order() {
    let (report, charts) = night().report();
    let page = report_html(&report, &charts, &TimeZone::UTC);
    if let Some(place) = std::env::var_os("PAGE_OF_A_NIGHT") {
        std::fs::write(place, &page).unwrap();
    }
    insta::assert_snapshot!(outline(&page).join("\n"), @r"
    h1: hle-oss
    h2: How it came out
    dt: Took
    dt: Questions per minute
    dt: Started again
    dt: Alarms
    h3: hle
    h2: What happened
    h4: hle, its client started again once
    h4: orchestrator Nemotron-Orchestrator-8B · 4 units
    h4: coder Qwen2.5-Coder-14B-Instruct · 8 units
    h4: answer Qwen3-32B-FP8 · 8 units · started again once
    h4: search gpt-oss-20b · 4 units
    h3: 2 alarms
    h2: How fast it went
    figcaption: hle questions finished per minute · mean 1.32 (dashed)
    figcaption: Tokens generated per second by model, all replicas together
    h2: Queues and caches
    figcaption: orchestrator Nemotron-Orchestrator-8B · requests, 4 servers
    figcaption: KV cache · mean, and the fullest server (thin), 99.3 % at most
    figcaption: coder Qwen2.5-Coder-14B-Instruct · requests, 8 servers · KV cache 2.7 % full at most
    figcaption: answer Qwen3-32B-FP8 · requests, 8 servers
    figcaption: KV cache · mean, and the fullest server (thin), 20 % at most
    h2: GPUs
    h4: node-0 4 GPUs · busy 91 % of the time
    h4: node-1 8 GPUs · busy 16.6 % of the time
    h4: node-2 8 GPUs · busy 64.6 % of the time
    h4: node-3 4 GPUs · busy 12.6 % of the time
    h2: Where calls went
    h2: How long calls took
    figcaption: search gpt-oss-20b300 calls · P50 1.76 s · P90 5.08 s · P99 10 s
    figcaption: answer Qwen3-32B-FP8300 calls · P50 33.8 s · P90 62.3 s · P99 116 s
    figcaption: enhance_reasoning Qwen2.5-Coder-14B-Instruct300 calls · P50 7.54 s · P90 11.6 s · P99 17.5 s
    h2: The tables
    h4: tools, end to end, in seconds
    h4: models of tools, in seconds
    h4: slow beginnings
    h4: what cannot be said
    ");
    // The same evidence, read anew, gives the same bytes.
    let (report, charts) = night().report();
    assert!(page == report_html(&report, &charts, &TimeZone::UTC));
}

#[test]
fn a_day_of_a_hundred_servers_is_a_small_page() {
    let many = Night {
        times: 4,
        every: Millis::from_secs(600),
        ..night()
    };
    let (report, charts) = many.report();
    let course = charts.course.as_ref().unwrap();
    assert_eq!(
        course
            .groups
            .iter()
            .map(|group| group.lanes.len())
            .sum::<usize>(),
        97
    );
    let page = report_html(&report, &charts, &TimeZone::UTC);
    assert!(page.len() < 1_000_000, "{}", page.len());
    outline(&page);
}

#[test]
fn names_from_outside_are_nothing_but_words() {
    let hostile = "</title><script>alert('1')</script>\"' onload=x \u{1b}[2J\u{202e}\0&amp;`";
    let mut classes = Classes::default();
    let times = Times {
        name: hostile.to_owned(),
        models: vec![hostile.to_owned()],
        seconds: vec![1.0, 2.0, 300.0],
    };
    let spreads = vec![spreads(vec![times], BINS, &mut classes)];
    let found = Found {
        name: hostile.to_owned(),
        place: hostile.to_owned(),
        expected: None,
        written: Vec::new(),
        logged: None,
        orchestrator: None,
        server_times: Vec::new(),
        whose: Whose::Anybody,
        changed: None,
    };
    let (_, own) = night().report();
    let mut course = own.course.unwrap();
    let unit = crate::base::UnitId::new(hostile);
    for group in &mut course.groups {
        group.name = hostile.to_owned();
        group.key = Some(hostile.to_owned());
        for lane in &mut group.lanes {
            lane.unit = unit.clone();
            lane.label = hostile.to_owned();
            lane.spans
                .iter_mut()
                .for_each(|span| span.words = hostile.to_owned());
            lane.marks
                .iter_mut()
                .for_each(|mark| mark.words = hostile.to_owned());
        }
    }
    course.alarms = vec![Told {
        at: super::night::BEGAN,
        over: None,
        alarm: hostile.to_owned(),
        unit: Some(unit),
        text: hostile.to_owned(),
    }];
    course.paces[0].eval = crate::base::EvalName::new(hostile);
    course.unsampled = vec![hostile.to_owned()];
    for node in &mut course.nodes {
        node.node = crate::base::NodeName::new(hostile);
    }
    let charts = Charts {
        bins: 20,
        classes,
        spreads,
        course: Some(course),
    };
    let report = Report {
        subject: Subject::Results {
            place: hostile.to_owned(),
        },
        happened: Some(super::night::happened(hostile)),
        evaluations: vec![evaluation(found)],
        judgements: Vec::new(),
    };
    let page = report_html(&report, &charts, &TimeZone::UTC);
    outline(&page);
    assert_eq!(page.matches("<script>").count(), 1);
    assert!(!page.contains("<script>alert"));
    assert!(page.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot;&#39; onload=x"));
    let hidden = |c: char| crate::base::is_hidden(c) && c != '\n';
    assert_eq!(page.chars().find(|c| hidden(*c)), None);
}

/// Where weights lie deep, the last part of a name tells a model from others, and its hue is that of the charts.
#[test]
fn a_long_name_keeps_its_hue_its_last_part_and_its_whole() {
    let folder = "/home/of/somebody/rehearsals/hle-oss/".repeat(3);
    let model = format!("{folder}models/ckpt/nvidia/Nemotron-Orchestrator-8B/");
    let (mut names, mut classes) = (Names::default(), Classes::default());
    let text = format!(
        "{{\"correct\": true, \"all_tool_responses\": {{\"turn_0_response\": [{{\"tool\": \"{}\", \"model\": \"{model}\", \"_query_llm_ms\": 80, \"_retrieval_ms\": 20}}]}}}}",
        "t".repeat(90)
    );
    let found = Found {
        name: "hle".to_owned(),
        place: "out".to_owned(),
        expected: None,
        written: vec![Written {
            id: "1".to_owned(),
            at: None,
            answer: Answer::read(text.as_bytes(), &[], &mut names),
        }],
        logged: None,
        orchestrator: None,
        server_times: Vec::new(),
        whose: Whose::Anybody,
        changed: None,
    };
    classes.know(&model);
    let report = Report {
        subject: Subject::Results {
            place: "out".to_owned(),
        },
        happened: None,
        evaluations: vec![evaluation(found)],
        judgements: Vec::new(),
    };
    let charts = Charts {
        classes,
        ..Charts::default()
    };
    let page = report_html(&report, &charts, &TimeZone::UTC);
    let (_, tables) = page.split_once("<section id=\"tables\">").unwrap();
    let (before, after) = tables.split_once(&format!("title=\"{model}\"")).unwrap();
    assert!(
        before.ends_with("<td class=\"w\"><i class=\"dot c0\"></i><span class=\"h\" "),
        "{before}"
    );
    assert!(
        after.starts_with(">Nemotron-Orchestrator-8B</span>"),
        "{after}"
    );
    // Other names are as wide as in the other forms.
    let tool = format!("title=\"{}\">{}…</span>", "t".repeat(90), "t".repeat(79));
    assert!(tables.contains(&tool), "{tables}");
    let text = report_text(&report);
    assert!(!text.contains(&model) && text.contains('…'), "{text}");
}

/// A rehearsal says so at once, and tells everything by the cluster's clock.
#[test]
fn a_rehearsal_has_one_clock() {
    let mut night = night();
    night.length = Millis(HOUR.0 / 4);
    night.every = Millis(5_000);
    night.speed = Some(20.0);
    let (report, charts) = night.report();
    let page = report_html(&report, &charts, &TimeZone::UTC);
    let words = |from: &str, to: &str| {
        let (_, rest) = page.split_once(from).unwrap();
        rest.split_once(to).unwrap().0.to_owned()
    };
    insta::assert_snapshot!(words("<p class=\"sub\">", "<nav"), @r#"ended · 31 Dec 2025, 20:07 – 20:22 (UTC)</p><p class="played"><b>Rehearsal at 20x</b> Times are the cluster's unless said otherwise: 5h 00m of it took 15m 00s here.</p>"#);
    insta::assert_snapshot!(words("<dt>Took</dt>", "<dt>Started").replace("><", ">\n<"), @r"
    <dd>5h 00m<small>
    </small>
    </dd>
    </div>
    <div>
    <dt>Questions per minute</dt>
    <dd>6.35<small>of hle: 1851 from its client&#39;s launch to the last one</small>
    </dd>
    </div>
    <div>
    ");
    // The same moments below all charts over time, and no clock of this machine.
    let body = words("<nav", "<footer>");
    let axes: Vec<&str> = body.split("<div class=\"xs\">").skip(1).collect();
    let of_time = axes.iter().filter(|axis| axis.contains("1 h"));
    assert!(of_time.clone().count() >= 8);
    let words: BTreeSet<String> = of_time
        .map(|axis| axis.split_once("</div>").unwrap().0.to_owned())
        .collect();
    assert_eq!(words.len(), 1, "{words:?}");
    assert!(!body.contains("20:07"));
}

#[test]
fn a_page_without_a_run_says_what_is_missing() {
    let report = Report {
        subject: Subject::Results {
            place: "out".to_owned(),
        },
        happened: None,
        evaluations: Vec::new(),
        judgements: Vec::new(),
    };
    let page = report_html(&report, &Charts::default(), &TimeZone::UTC);
    let body = page
        .split("<body>")
        .nth(1)
        .unwrap()
        .split("<footer>")
        .next()
        .unwrap();
    insta::assert_snapshot!(body.replace("><", ">\n<"), @r##"
    <main>
    <header>
    <p class="kind">Results</p>
    <h1>out</h1>
    <nav aria-label="Sections">
    <a href="#summary">How it came out</a>
    <a href="#course">What happened</a>
    <a href="#times">How long calls took</a>
    </nav>
    </header>
    <section id="summary">
    <h2>How it came out</h2>
    <p class="none">it has no evaluation</p>
    </section>
    <section id="course">
    <h2>What happened</h2>
    <p class="none">these results were made without toolorch, or are read without their run: nobody recorded what servers, GPUs and the client did over time</p>
    </section>
    <section id="times">
    <h2>How long calls took</h2>
    <p class="none">no result and no log tells how long a call took</p>
    </section>
    "##);
}

#[test]
fn a_browser_is_told_the_one_script_that_may_run() {
    let script = include_str!("page.js");
    let digest = Sha256::digest(script.as_bytes());
    let letters: Vec<char> = ('A'..='Z')
        .chain('a'..='z')
        .chain('0'..='9')
        .chain(['+', '/'])
        .collect();
    let mut base64 = String::new();
    for three in digest.chunks(3) {
        let bits = three
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - three.len()));
        for place in 0..=three.len() {
            base64.push(letters[(bits >> (18 - 6 * place) & 63) as usize]);
        }
        base64.push_str(&"=".repeat(3 - three.len()));
    }
    assert_eq!(SCRIPT_HASH, format!("sha256-{base64}"));
}
