//! Bars and lines on a terminal, through indicatif.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anstream::ColorChoice;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::tz::TimeZone;

use crate::base::cut;
use crate::base::{EvalName, Millis, Timestamp};
use crate::plan::{EvalPlan, Plan};
use crate::run::{Record, RunState, UnitPhase};
use crate::view::pace::Pace;
use crate::view::plain::{Weight, line, weight};
use crate::view::rows::{Row, rows};
use crate::view::words::{Mood, eval_waits};
use crate::view::{Tails, View};

/// The live display: a line for what is not ready, a bar for each evaluation, messages above.
#[derive(Debug)]
pub struct Live {
    plan: Plan,
    zone: TimeZone,
    colour: bool,
    /// Rows and columns of the terminal, asked anew at each drawing.
    size: fn() -> (usize, usize),
    board: MultiProgress,
    lines: Vec<ProgressBar>,
    bars: BTreeMap<EvalName, ProgressBar>,
    tails: Tails,
    drawn: Timestamp,
}

impl Live {
    /// The shortest time between two drawings.
    const PAUSE: Millis = Millis(100);

    /// A display on stderr; [`crate::view::Background`] keeps a slow terminal from holding it up.
    pub fn new(plan: Plan, zone: TimeZone, colour: ColorChoice) -> Self {
        Self::on(
            ProgressDrawTarget::stderr_with_hz(20),
            terminal_size,
            plan,
            zone,
            colour != ColorChoice::Never,
        )
    }

    fn on(
        target: ProgressDrawTarget,
        size: fn() -> (usize, usize),
        plan: Plan,
        zone: TimeZone,
        colour: bool,
    ) -> Self {
        Self {
            plan,
            zone,
            colour,
            size,
            board: MultiProgress::with_draw_target(target),
            lines: Vec::new(),
            bars: BTreeMap::new(),
            tails: Tails::new(),
            drawn: Timestamp::default(),
        }
    }

    fn draw(&mut self, now: Timestamp, state: &RunState) {
        self.drawn = now;
        let bars = self.plan.evals.len();
        let (height, width) = (self.size)();
        // One line stays free for the cursor, one for a message.
        let room = height.saturating_sub(bars + 2).max(1);
        let rows = rows(&self.plan, state, now, &self.tails, room);
        let names = rows.iter().map(|row| row.name.chars().count());
        let evals = self.plan.evals.iter().map(|eval| eval.name.as_str().len());
        let name_width = names.map(|width| width + 2).chain(evals).max().unwrap_or(0);
        self.draw_bars(name_width, now, state);
        let texts: Vec<String> = rows
            .iter()
            .map(|row| paint(row, name_width, width.saturating_sub(1), self.colour))
            .collect();
        while self.lines.len() > texts.len() {
            if let Some(line) = self.lines.pop() {
                self.board.remove(&line);
            }
        }
        for (index, text) in texts.into_iter().enumerate() {
            if index == self.lines.len() {
                let line = ProgressBar::new_spinner().with_style(style("{msg}"));
                self.lines.push(self.board.insert(index, line));
            }
            if self.lines[index].message() != text {
                self.lines[index].set_message(text);
            }
        }
    }

    fn draw_bars(&mut self, name_width: usize, now: Timestamp, state: &RunState) {
        for eval in &self.plan.evals {
            let Some(progress) = state.evals.get(&eval.name).filter(|eval| eval.total > 0) else {
                continue;
            };
            let bar = self.bars.entry(eval.name.clone()).or_insert_with(|| {
                let style = style("{prefix}  [{bar:24}] {pos}/{len} {wide_msg}");
                let bar = ProgressBar::new(0).with_style(style.progress_chars("=> "));
                self.board.add(bar)
            });
            bar.set_prefix(format!("{:name_width$}", eval.name.as_str()));
            bar.set_length(progress.total as u64);
            bar.set_position(progress.done as u64);
            bar.set_message(bar_text(eval, &self.plan, state, now));
        }
    }
}

/// What stands behind the bar: `37 % · 12 in error · 4.2/min · about 5h 20m left`.
fn bar_text(eval: &EvalPlan, plan: &Plan, state: &RunState, now: Timestamp) -> String {
    let Some(progress) = state.evals.get(&eval.name) else {
        return String::new();
    };
    let client = state.unit(&eval.unit);
    if progress.verdict.is_none() && client.phase == UnitPhase::Planned {
        return eval_waits(eval, plan, state);
    }
    let percent = (progress.done * 100).checked_div(progress.total);
    let mut text = format!("{} %", percent.unwrap_or(0));
    if progress.errors > 0 {
        let _ = write!(text, " · {} in error", progress.errors);
    }
    let pace = Pace::of_working(progress, &client, now).words();
    if progress.verdict.is_none() && !pace.is_empty() {
        let _ = write!(text, " · {pace}");
    }
    text
}

/// A row as one line of the terminal, cut to `width` columns; the colour comes last.
fn paint(row: &Row, name_width: usize, width: usize, colour: bool) -> String {
    let indent = if row.inner { "  " } else { "" };
    let name_width = name_width - indent.len();
    let mut line = format!("{indent}{:name_width$}  {}", row.name, row.text);
    if !row.tail.is_empty() {
        let gap = if row.text.is_empty() { "" } else { " · " };
        let _ = write!(line, "{gap}{}", row.tail);
    }
    let line = cut(line.trim_end(), width);
    let code = match row.mood {
        Mood::Bad => 31,
        Mood::Busy => 33,
        Mood::Good => 32,
        Mood::Idle => 2,
    };
    let name_end = line
        .char_indices()
        .nth(name_width + indent.len())
        .map_or(line.len(), |(at, _)| at);
    if colour {
        let (name, rest) = line.split_at(name_end);
        format!("\u{1b}[{code}m{name}\u{1b}[0m{rest}")
    } else {
        line
    }
}

/// A style whose template is known to be right.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn terminal_size() -> (usize, usize) {
    let (height, width) = console::Term::stderr().size();
    (usize::from(height), usize::from(width))
}

impl View for Live {
    fn event(&mut self, record: &Record, state: &RunState) {
        if weight(&record.event) == Weight::Loud {
            self.message(&line(record, &self.zone));
        }
        if record.at.since(self.drawn) >= Self::PAUSE {
            self.draw(record.at, state);
        }
    }

    fn tick(&mut self, now: Timestamp, state: &RunState, tails: &Tails) {
        self.tails.clone_from(tails);
        self.draw(now, state);
    }

    fn message(&mut self, text: &str) {
        for line in text.lines() {
            // A terminal that went away does not stop an evaluation.
            let _ = self.board.println(line);
        }
    }

    fn finish(&mut self) {
        let _ = self.board.clear();
        self.board.set_draw_target(ProgressDrawTarget::hidden());
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use indicatif::TermLike;

    use super::*;
    use crate::base::UnitId;
    use crate::view::testing::{Story, plan};

    /// What a terminal of 80 columns would show.
    #[derive(Debug, Clone, Default)]
    struct Screen(Arc<Mutex<(Vec<String>, usize)>>);

    impl Screen {
        fn shown(&self) -> String {
            let lines = &self.0.lock().unwrap().0;
            let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
            lines.join("\n").trim_end().to_owned()
        }

        fn line(&self, change: impl Fn(&mut String, &mut usize)) {
            let (lines, row) = &mut *self.0.lock().unwrap();
            while lines.len() <= *row {
                lines.push(String::new());
            }
            change(&mut lines[*row], row);
        }
    }

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            80
        }
        fn move_cursor_up(&self, n: usize) -> io::Result<()> {
            self.line(|_, row| *row = row.saturating_sub(n));
            Ok(())
        }
        fn move_cursor_down(&self, n: usize) -> io::Result<()> {
            self.line(|_, row| *row += n);
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)?;
            self.line(|_, row| *row += 1);
            Ok(())
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            for c in text.chars() {
                self.line(|line, row| *row += usize::from(line.chars().count() == 80));
                self.line(|line, _| line.push(c));
            }
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            self.line(|line, _| line.clear());
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn live(screen: &Screen) -> Live {
        let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
        Live::on(target, || (24, 80), plan(3), TimeZone::UTC, false)
    }

    #[test]
    fn a_night_on_the_screen() {
        let screen = Screen::default();
        let mut live = live(&screen);
        let mut story = Story::begun();
        for unit in [
            "orchestrator-0",
            "orchestrator-1",
            "orchestrator-2",
            "retrieval",
        ] {
            story.wait(100).start(unit);
        }
        story
            .wait(2000)
            .ready("orchestrator-0")
            .climb("orchestrator-1", "health");
        let tails = Tails::from([(
            UnitId::new("orchestrator-1"),
            "INFO \u{1b}[2Jloading weights, which takes a very long time on this old disk\n"
                .to_owned(),
        )]);
        live.tick(story.now(), &story.state, &tails);
        insta::assert_snapshot!(screen.shown(), @r"
        orchestrator      1/3 ready
          orchestrator-1  waits for completion (2/3) for 2s · INFO loading weights, wh…
          orchestrator-2  waits for listening (0/3) for 2s
        retrieval         waits for listening (0/3) for 2s
        ");

        story.die("orchestrator-2", 1, "CUDA out of memory");
        live.event(&story.records[story.records.len() - 1], &story.state);
        for unit in ["orchestrator-1", "orchestrator-2", "retrieval"] {
            story.start(unit).ready(unit);
        }
        story.start("eval-hle");
        story
            .progress("hle", 10, 200)
            .wait(30_000)
            .progress("hle", 60, 200);
        live.tick(story.now(), &story.state, &Tails::new());
        live.message("a message");
        insta::assert_snapshot!(screen.shown(), @r"
        00:00:02 orchestrator-2 ended with code 1: CUDA out of memory
        a message
        orchestrator    3/3 ready
        retrieval       ready after 0ms (start 2)
        hle             [=======>                ] 60/200 30 % · 3 in error · 100/min ·
        ");

        live.finish();
        insta::assert_snapshot!(screen.shown(), @r"
        00:00:02 orchestrator-2 ended with code 1: CUDA out of memory
        a message
        ");
    }

    #[test]
    fn colour_is_the_caller_s_choice() {
        let row = Row {
            mood: Mood::Bad,
            inner: true,
            name: "a-0".to_owned(),
            text: "ended".to_owned(),
            tail: "last words".to_owned(),
        };
        assert_eq!(paint(&row, 8, 40, false), "  a-0     ended · last words");
        assert_eq!(
            paint(&row, 8, 40, true),
            "\u{1b}[31m  a-0   \u{1b}[0m  ended · last words"
        );
        assert_eq!(paint(&row, 8, 16, false), "  a-0     ended…");
    }
}
