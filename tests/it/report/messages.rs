//! What it says, in all forms, and where it cannot.

use std::fs::{self, FileTimes};
use std::time::{Duration, UNIX_EPOCH};

use super::Place;

/// Results of five questions with all that can be wrong with them, and a log of calls.
pub(super) fn small(place: &Place) {
    let done = |id: &str, responses: &str| {
        let text = format!(
            r#"{{"id": "{id}", "all_tool_calls": [[], []], "correct": true, "status": "done", "all_tool_responses": {responses}}}"#
        );
        place.write(&format!("out/{id}.json"), &text);
    };
    done(
        "a",
        r#"{"turn_0_response": [{"tool": "search", "model": "openai/gpt-oss-20b", "_query_llm_ms": 1500, "_retrieval_ms": 250, "_retrieval_retries": 1}],
            "turn_1_response": [{"tool": "answer", "model": "Qwen/Qwen3-32B-FP8", "_expert_ms": 30000, "_judge_ms": 2500}]}"#,
    );
    done(
        "b",
        r#"{"turn_0_response": [{"tool": "search", "model": "openai/gpt-oss-20b", "_query_llm_ms": 9500, "_retrieval_ms": 500, "_retrieval_retries": 0},
            {"tool": "search", "model": "openai/gpt-oss-20b", "_query_llm_ms": 9500, "_retrieval_ms": 0.0, "_retrieval_retries": 0},
            {"tool": "weather | <map>", "model": "gpt_oss\u001b[31m"}]}"#,
    );
    place.write("out/c.json", r#"{"id": "c", "status": "error", "error_type": "APITimeoutError", "correct": false, "all_tool_responses": {"turn_0_response": [{"tool": "answer", "model": "Qwen/Qwen3-32B-FP8", "tool_error": "late"}]}}"#);
    place.write("out/d.json", r#"{"id": "d", "stat"#);
    place.write(
        "out/x.json",
        r#"{"id": "x", "status": "done", "correct": true}"#,
    );
    place.write("out/model_config.json", r#"{"retrieval": []}"#);
    place.write(
        "questions.jsonl",
        "{\"id\": \"a\"}\n{\"id\": \"b\"}\n{\"id\": \"c\"}\n{\"id\": \"d\"}\n{\"id\": \"e\"}\n",
    );
    let call = |model: &str, port: u16, seconds: f64, error: &str| {
        format!(
            "{{\"event\": \"response\", \"model\": \"{model}\", \"base_url\": \"http://10.0.0.1:{port}/v1\", \"attempt\": 1, \"duration_s\": {seconds}, \"error\": {error}}}\n"
        )
    };
    let log = [
        call("/ckpt/orchestrator/", 1800, 80.5, "null"),
        call("/ckpt/orchestrator/", 1801, 407.0, "null"),
        call("/ckpt/orchestrator/", 1801, 2.0, "\"refused\""),
        call("openai/gpt-oss-20b", 1840, 1.5, "null"),
        call("gpt-5", 443, 2.5, "null"),
    ];
    place.write("calls.jsonl", &log.concat());
    for file in fs::read_dir(place.path("out")).unwrap() {
        let at = UNIX_EPOCH + Duration::from_secs(1_767_139_207);
        let file = fs::File::open(file.unwrap().path()).unwrap();
        file.set_times(FileTimes::new().set_modified(at)).unwrap();
    }
}

/// Output and complaints, one after the other.
#[track_caller]
fn said(place: &Place, code: i32, args: &[&str]) -> String {
    let said = place.report(args);
    assert_eq!(said.code, code, "{}{}", said.out, said.err);
    let own = place.path("").to_str().unwrap().to_owned();
    format!("{}{}", said.out, said.err).replace(&own, "PLACE/")
}

#[test]
fn a_report_reads_well_on_a_terminal() {
    let place = Place::new();
    small(&place);
    let args = [
        "out/",
        "--dataset",
        "questions.jsonl",
        "--call-log",
        "calls.jsonl",
    ];
    insta::assert_snapshot!(said(&place, 0, &args), @r"
    results in `out`

    questions
      2 of 5 questions right: 40.0 % of all, 100.0 % of the 2 answered
      3 results, 1 in error (1 by servers), 1 missing, 1 torn, 1 of other questions, 1 other file

    what limits it
      limited by: not known, because whether calls wait at its servers was not measured (results do not tell, and a run of `toolorch up` would)
        /ckpt/orchestrator/  not known  91.7 % of the known time on 2 replicas
        gpt-5                not known  0.5 % of the known time on 1 replica
        openai/gpt-oss-20b   not known  0.3 % of the known time on 1 replica
        Qwen/Qwen3-32B-FP8   not known  5.6 % of the known time
      /ckpt/orchestrator/ takes 91.7 % of the time that is accounted for, 0.7 calls a question

    what stands out
      1 of 5 calls failed
      1 question ended in an error

    advice
      no move of GPUs is advised, because it is not known whether more replicas would help

    tools, end to end, in seconds
    tool             count   mean   std    min    max    P50    P90    P99     <5s  used/all   left out
    search               2   5.88  4.12   1.75  10.00   5.88   9.18   9.92  50.0 %       2/3     zero 1
    answer               1  32.50  0.00  32.50  32.50  32.50  32.50  32.50   0.0 %       1/2  missing 1
    weather | <map>      -      -     -      -      -      -      -      -       -       0/1  missing 1

    models of tools, in seconds
    tool             model               count   mean   std    min    max    P50    P90    P99     <5s  used/all   left out
    search           openai/gpt-oss-20b      2   5.50  4.00   1.50   9.50   5.50   8.70   9.42  50.0 %       2/3     zero 1
    answer           Qwen/Qwen3-32B-FP8      1  30.00  0.00  30.00  30.00  30.00  30.00  30.00   0.0 %       1/2  missing 1
    weather | <map>  gpt_oss                 -      -     -      -      -      -      -      -       -       0/1  missing 1

    orchestrator, in seconds, by the client's log of its calls
    model                total    mean     max  >300s     P50     P90     P99  used/all  left out
    /ckpt/orchestrator/      3  243.75  407.00      1  243.75  374.35  403.74       2/3  failed 1

    calls to servers, in seconds, by the client's log of its calls
    model                replica        count    mean     max     P50     P90     P99  used/all  left out
    /ckpt/orchestrator/  all                2  243.75  407.00  243.75  374.35  403.74       2/3  failed 1
                         10.0.0.1:1800      1   80.50   80.50   80.50   80.50   80.50       1/1
                         10.0.0.1:1801      1  407.00  407.00  407.00  407.00  407.00       1/2  failed 1
    gpt-5                all                1    2.50    2.50    2.50    2.50    2.50       1/1
                         10.0.0.1:443       1    2.50    2.50    2.50    2.50    2.50       1/1
    openai/gpt-oss-20b   all                1    1.50    1.50    1.50    1.50    1.50       1/1
                         10.0.0.1:1840      1    1.50    1.50    1.50    1.50    1.50       1/1

    the same in parts, in seconds
    of      by     part     count   mean    P50    P90    P99
    search  tries  once         1  10.00  10.00  10.00  10.00
    search  tries  retried      1   1.75   1.75   1.75   1.75

    rounds
      by 2 results: mean 2.00, P50 2.0, P90 2.0, P99 2.0, most 2

    slow beginnings
      search: cannot be said: it takes 80 calls whose end is known, and there are 2
      answer: cannot be said: it takes 80 calls whose end is known, and there are 1
      orchestrator: cannot be said: it is not known when calls ended

    torn results
      `d`: EOF while parsing a string at line 1 column 17

    what cannot be said
      how many calls torn results had: none of theirs is in a table
      how many calls were under way at once: name how many questions were with `--concurrency N`
    ");
}

#[test]
fn a_report_reads_well_as_markdown() {
    let place = Place::new();
    small(&place);
    let args = [
        "out",
        "--dataset",
        "questions.jsonl",
        "--call-log",
        "calls.jsonl",
        "--format",
        "md",
    ];
    insta::assert_snapshot!(said(&place, 0, &args), @r"
    # results in `out`

    ## questions

    - 2 of 5 questions right: 40.0 % of all, 100.0 % of the 2 answered
    - 3 results, 1 in error (1 by servers), 1 missing, 1 torn, 1 of other questions, 1 other file

    ### what limits it

    - limited by: not known, because whether calls wait at its servers was not measured (results do not tell, and a run of `toolorch up` would)
    - /ckpt/orchestrator/  not known  91.7 % of the known time on 2 replicas
    - gpt-5                not known  0.5 % of the known time on 1 replica
    - openai/gpt-oss-20b   not known  0.3 % of the known time on 1 replica
    - Qwen/Qwen3-32B-FP8   not known  5.6 % of the known time
    - /ckpt/orchestrator/ takes 91.7 % of the time that is accounted for, 0.7 calls a question

    ### what stands out

    - 1 of 5 calls failed
    - 1 question ended in an error

    ### advice

    - no move of GPUs is advised, because it is not known whether more replicas would help

    ### tools, end to end, in seconds

    | tool | count | mean | std | min | max | P50 | P90 | P99 | &lt;5s | used/all | left out |
    | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
    | search | 2 | 5.88 | 4.12 | 1.75 | 10.00 | 5.88 | 9.18 | 9.92 | 50.0 % | 2/3 | zero 1 |
    | answer | 1 | 32.50 | 0.00 | 32.50 | 32.50 | 32.50 | 32.50 | 32.50 | 0.0 % | 1/2 | missing 1 |
    | weather \| &lt;map> | - | - | - | - | - | - | - | - | - | 0/1 | missing 1 |

    ### models of tools, in seconds

    | tool | model | count | mean | std | min | max | P50 | P90 | P99 | &lt;5s | used/all | left out |
    | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
    | search | openai/gpt-oss-20b | 2 | 5.50 | 4.00 | 1.50 | 9.50 | 5.50 | 8.70 | 9.42 | 50.0 % | 2/3 | zero 1 |
    | answer | Qwen/Qwen3-32B-FP8 | 1 | 30.00 | 0.00 | 30.00 | 30.00 | 30.00 | 30.00 | 30.00 | 0.0 % | 1/2 | missing 1 |
    | weather \| &lt;map> | gpt\_oss | - | - | - | - | - | - | - | - | - | 0/1 | missing 1 |

    ### orchestrator, in seconds, by the client's log of its calls

    | model | total | mean | max | >300s | P50 | P90 | P99 | used/all | left out |
    | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
    | /ckpt/orchestrator/ | 3 | 243.75 | 407.00 | 1 | 243.75 | 374.35 | 403.74 | 2/3 | failed 1 |

    ### calls to servers, in seconds, by the client's log of its calls

    | model | replica | count | mean | max | P50 | P90 | P99 | used/all | left out |
    | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
    | /ckpt/orchestrator/ | all | 2 | 243.75 | 407.00 | 243.75 | 374.35 | 403.74 | 2/3 | failed 1 |
    |  | 10.0.0.1:1800 | 1 | 80.50 | 80.50 | 80.50 | 80.50 | 80.50 | 1/1 |  |
    |  | 10.0.0.1:1801 | 1 | 407.00 | 407.00 | 407.00 | 407.00 | 407.00 | 1/2 | failed 1 |
    | gpt-5 | all | 1 | 2.50 | 2.50 | 2.50 | 2.50 | 2.50 | 1/1 |  |
    |  | 10.0.0.1:443 | 1 | 2.50 | 2.50 | 2.50 | 2.50 | 2.50 | 1/1 |  |
    | openai/gpt-oss-20b | all | 1 | 1.50 | 1.50 | 1.50 | 1.50 | 1.50 | 1/1 |  |
    |  | 10.0.0.1:1840 | 1 | 1.50 | 1.50 | 1.50 | 1.50 | 1.50 | 1/1 |  |

    ### the same in parts, in seconds

    | of | by | part | count | mean | P50 | P90 | P99 |
    | --- | --- | --- | ---: | ---: | ---: | ---: | ---: |
    | search | tries | once | 1 | 10.00 | 10.00 | 10.00 | 10.00 |
    | search | tries | retried | 1 | 1.75 | 1.75 | 1.75 | 1.75 |

    ### rounds

    - by 2 results: mean 2.00, P50 2.0, P90 2.0, P99 2.0, most 2

    ### slow beginnings

    - search: cannot be said: it takes 80 calls whose end is known, and there are 2
    - answer: cannot be said: it takes 80 calls whose end is known, and there are 1
    - orchestrator: cannot be said: it is not known when calls ended

    ### torn results

    - `d`: EOF while parsing a string at line 1 column 17

    ### what cannot be said

    - how many calls torn results had: none of theirs is in a table
    - how many calls were under way at once: name how many questions were with `--concurrency N`
    ");
}

#[test]
fn what_results_alone_do_not_tell_is_named_with_what_would() {
    let place = Place::new();
    small(&place);
    let text = said(&place, 0, &["out"]);
    let (_, unsaid) = text.split_once("what cannot be said\n").unwrap();
    insta::assert_snapshot!(unsaid, @r"
    how long the orchestrator took: no result tells of its calls; name a log of them with `--call-log FILE` or `--client-log FILE`
    which questions are missing: the dataset is not known; name it with `--dataset FILE`
    how many calls torn results had: none of theirs is in a table
    how many calls were under way at once: name how many questions were with `--concurrency N`
    ");
    assert!(!place.path("home").exists(), "nothing is written unasked");
    assert_eq!(fs::read_dir(place.path("out")).unwrap().count(), 6);

    let guess = |args: &[&str]| {
        let args = [&["out"], args].concat();
        let text = said(&place, 0, &args);
        let mut lines = text.lines();
        lines
            .find(|line| line.contains("orchestrator took"))
            .unwrap()
            .to_owned()
    };
    place.write(
        "two.jsonl",
        "{\"model\": \"A\", \"duration\": 1}\n{\"model\": \"B\", \"duration\": 1}\n",
    );
    place.write("none.jsonl", "{\"model\": \"gpt-5\", \"duration\": 1}\n");
    let all = [
        guess(&["--call-log", "two.jsonl"]),
        guess(&["--call-log", "none.jsonl"]),
    ];
    insta::assert_snapshot!(all.join("\n"), @r"
    how long the orchestrator took: it may be any of `A`, `B`; name it with `--orchestrator MODEL`
    how long the orchestrator took: every model of the log answers for a tool, or judges; name it with `--orchestrator MODEL`
    ");
    let nobody = [
        said(&place, 2, &["out", "--orchestrator", "C"]),
        said(
            &place,
            2,
            &["out", "--call-log", "two.jsonl", "--orchestrator", "C"],
        ),
    ];
    insta::assert_snapshot!(nobody.join("\n"), @r"
    error: --orchestrator C: no call to `C` is told of
    help: there are calls to Qwen/Qwen3-32B-FP8, gpt_oss, openai/gpt-oss-20b; `--call-log FILE` or `--client-log FILE` names a log of more

    error: --orchestrator C: no call to `C` is told of
    help: there are calls to A, B, Qwen/Qwen3-32B-FP8, gpt_oss, openai/gpt-oss-20b; `--call-log FILE` or `--client-log FILE` names a log of more
    ");
    let text = said(
        &place,
        0,
        &["out", "--call-log", "two.jsonl", "--orchestrator", "B"],
    );
    assert!(
        text.contains("\norchestrator, in seconds, by the client's log of its calls\nmodel "),
        "{text}"
    );
}

#[test]
fn lines_of_one_file_are_results_as_well() {
    let place = Place::new();
    place.write(
        "all.jsonl",
        "{\"id\": \"a\", \"correct\": true, \"rounds\": 2, \"calls\": [{\"tool\": \"orchestrator\", \"model\": \"O\", \"endpoint\": \"h:1\", \"ms\": 400}, {\"tool\": \"search\", \"model\": \"retrieval\", \"endpoint\": \"h:2\", \"ms\": 20, \"error\": \"refused\"}, {\"tool\": \"search\", \"model\": \"retrieval\", \"endpoint\": \"h:2\", \"ms\": 40}]}\n{\"id\": \"b\", \"corr\n",
    );
    insta::assert_snapshot!(said(&place, 0, &["all.jsonl"]), @r"
    results in `all.jsonl`

    questions
      1 right: 100.0 % of the 1 answered
      1 result, 0 in error, 1 torn

    what limits it
      limited by: not known, because whether calls wait at its servers was not measured (results do not tell, and a run of `toolorch up` would)
        O          not known  87.0 % of the known time on 1 replica
        retrieval  not known  8.7 % of the known time on 1 replica
      O takes 87.0 % of the time that is accounted for, 1.0 calls a question

    what stands out
      1 of 3 calls failed

    advice
      no move of GPUs is advised, because it is not known whether more replicas would help

    tools, end to end, in seconds
    tool    count  mean   std   min   max   P50   P90   P99      <5s  used/all  left out
    search      2  0.03  0.01  0.02  0.04  0.03  0.04  0.04  100.0 %       2/2

    models of tools, in seconds
    tool    model      count  mean   std   min   max   P50   P90   P99      <5s  used/all  left out
    search  retrieval      2  0.03  0.01  0.02  0.04  0.03  0.04  0.04  100.0 %       2/2

    orchestrator, in seconds, by the results
    model  total  mean   max  >300s   P50   P90   P99  used/all  left out
    O          1  0.40  0.40      0  0.40  0.40  0.40       1/1

    calls to servers, in seconds, by the results
    model      replica  count  mean   max   P50   P90   P99  used/all  left out
    O          all          1  0.40  0.40  0.40  0.40  0.40       1/1
               h:1          1  0.40  0.40  0.40  0.40  0.40       1/1
    retrieval  all          1  0.04  0.04  0.04  0.04  0.04       1/2  failed 1
               h:2          1  0.04  0.04  0.04  0.04  0.04       1/2  failed 1

    the same in parts, in seconds
    of      by       part     count  mean   P50   P90   P99
    search  outcome  ok           1  0.04  0.04  0.04  0.04
    search  outcome  error        1  0.02  0.02  0.02  0.02
    search  tries    once         1  0.02  0.02  0.02  0.02
    search  tries    retried      1  0.04  0.04  0.04  0.04

    rounds
      by 1 result: mean 2.00, P50 2.0, P90 2.0, P99 2.0, most 2

    slow beginnings
      search: cannot be said: it is not known when calls ended
      orchestrator: cannot be said: it is not known when calls ended

    torn results
      `line 2`: control character (\u0000-\u001F) found while parsing a string at line 2 column 0

    what cannot be said
      which questions are missing: the dataset is not known; name it with `--dataset FILE`
      how many calls torn results had: none of theirs is in a table
      how many calls were under way at once: name how many questions were with `--concurrency N`
    ");
}

#[test]
fn what_cannot_be_done_says_why_and_what_to_do() {
    let place = Place::new();
    small(&place);
    place.write("empty/readme.txt", "");
    place.write("other/a.json", "{\"name\": 1}");
    place.write(
        "pointer.jsonl",
        "version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 3\n",
    );
    let all = [
        said(&place, 2, &["empty"]),
        said(&place, 2, &["other"]),
        said(&place, 2, &["nowhere"]),
        said(&place, 2, &["out", "--dataset", "gone.jsonl"]),
        said(&place, 2, &["out", "--dataset", "pointer.jsonl"]),
        said(&place, 2, &["out", "--dataset", "out/model_config.json"]),
        said(&place, 2, &["out", "--call-log", "gone.jsonl"]),
        said(&place, 2, &["out", "--client-log", "questions.jsonl"]),
        said(&place, 2, &["out", "--out", "./out"]),
        said(&place, 2, &["out", "--check"]),
        said(&place, 3, &["out", "--check", "--out", "kept"]),
    ];
    insta::assert_snapshot!(all.join("\n"), @r"
    error: there are no results in `empty`: it has no file `*.json`
    help: a result is a file `ID.json`, or a line of a `.jsonl`, with one of the keys `status`, `correct`, `calls`, `all_tool_calls` and `all_tool_responses`

    error: there are no results in `other`: none of its 1 JSON objects is one
    help: a result is a file `ID.json`, or a line of a `.jsonl`, with one of the keys `status`, `correct`, `calls`, `all_tool_calls` and `all_tool_responses`

    error: `nowhere` is no run, no cluster that ever ran here, and no file
    help: there is no run here; one that was started in another folder is kept there

    error: cannot take questions from `gone.jsonl`: there is no such file

    error: cannot take questions from `pointer.jsonl`: it is a pointer of Git LFS; fetch the file with `git lfs pull`

    error: cannot take questions from `out/model_config.json`: no line of it is a JSON object with an `id`

    error: there is no file `gone.jsonl`

    error: `questions.jsonl` tells of no call
    help: `--call-log` takes a file with a JSON object for each call, `--client-log` what ToolOrchestra's clients print

    error: `./out` holds the results: a report in it would stand among them
    help: name another folder: --out ./out/report

    error: reports on a folder of results are kept where `--out` says
    help: name the folder that has them: --check --out DIR

    error: cannot read `kept/report.json`: No such file or directory (os error 2)
    error: cannot read `kept/report.md`: No such file or directory (os error 2)
    error: cannot read `kept/report.html`: No such file or directory (os error 2)
    ");
}

#[test]
fn kept_files_are_held_to_what_would_be_written_now() {
    let place = Place::new();
    small(&place);
    let written = place.report(&["out", "--out", "kept"]);
    assert_eq!(
        written.err,
        "wrote report.json, report.md and report.html to `kept`\n"
    );
    let check = ["out", "--out", "kept", "--check"];
    insta::assert_snapshot!(said(&place, 0, &check), @r"report.json, report.md and report.html in `kept` are what would be written now");
    place.write(
        "out/e.json",
        r#"{"id": "e", "status": "done", "correct": true}"#,
    );
    let differs = said(&place, 3, &check);
    // Where the page differs hangs on its style.
    let lines = differs
        .lines()
        .map(|line| match line.split_once(": line ") {
            Some((file, _)) if file.contains(".html") => file,
            _ => line,
        });
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r#"
    error: `kept/report.json` is not what would be written now: line 13 is `"done": 4,`, and would be `"done": 5,`
    error: `kept/report.md` is not what would be written now: line 5 is `- 3 right: 100.0 % of the 3 answered`, and would be `- 4 right: 100.0 % of the 4 answered`
    error: `kept/report.html` is not what would be written now
    help: results, samples, logs, the options of this command or toolorch changed since, or somebody changed the files
    "#);
}
